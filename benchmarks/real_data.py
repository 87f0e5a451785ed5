"""Where the real music lies that the benchmarks measure on."""

import os
import sys
from pathlib import Path


def real_data() -> Path:
    """The folder in `GENRE_REAL_DATA`; ends the script in one line where it is not there."""
    name = os.environ.get("GENRE_REAL_DATA", "")
    folder = Path(name)
    if not name or not (folder / "gtzan-mel").is_dir():
        sys.exit(
            f"GENRE_REAL_DATA is {name!r}; set it to a folder with gtzan-mel/, gtzan-audio/ "
            "and splits/gtzan-filtered/ (see CONTRIBUTING.md)"
        )
    return folder
