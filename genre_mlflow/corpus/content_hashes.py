"""SHA-256 of what files show or sound like: a scan decodes only what is new."""

import json
from contextlib import suppress
from pathlib import Path

from genre_mlflow.features.preprocessing import DECODERS
from genre_mlflow.files.atomic import atomic_write
from genre_mlflow.files.home import home

DECODER = 3  # raise it whenever `content_of` gives something else for a file
VERSION = f"{DECODER}, {DECODERS}"


def memo_file() -> Path:
    """Where the hashes lie."""
    return home() / "cache" / "contents.json"


def recall() -> dict[str, str]:
    """SHA-256 of the content by SHA-256 of the file; empty where there is no memo to be trusted."""
    try:
        memo = json.loads(memo_file().read_bytes())
        return dict(memo["contents"]) if memo["version"] == VERSION else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def remember(hashes: dict[str, str]) -> None:
    """Add to the memo. Where nothing can be written, the next scan takes longer, and that is all.

    Of two processes that write at once one may lose what it adds, but never what is there.
    """
    known = recall()
    if hashes.keys() <= known.keys():
        return
    content = json.dumps({"version": VERSION, "contents": known | hashes}, indent=0)
    with suppress(OSError), atomic_write(memo_file()) as file:
        file.write(content.encode())
