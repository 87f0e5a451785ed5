"""Where derived files lie."""

import os
from pathlib import Path

HOME_VARIABLE = "GENRE_HOME"
HOME_DEFAULT = ".genre"


def home() -> Path:
    """Folder of all derived files: `GENRE_HOME`, else `.genre` in the working folder."""
    return Path(os.environ.get(HOME_VARIABLE) or HOME_DEFAULT).absolute()
