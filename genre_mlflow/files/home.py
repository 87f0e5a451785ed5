"""Where derived files lie, what they take, and deleting them."""

import contextlib
import os
import shutil
from pathlib import Path

from genre_mlflow.errors import DataError
from genre_mlflow.files.locks import hold_lock

HOME_VARIABLE = "GENRE_HOME"
HOME_DEFAULT = ".genre"
DOWNLOAD_LOCK = "gtzan-download.lock"
WEIGHTS = "weights"  # folder of pretrained ones
# What lies in `home`; links for Spark and the lock of a download are left by killed processes.
OURS = (
    "cache", "checkpoints", "demo*", DOWNLOAD_LOCK, "matplotlib", "mlflow-run",
    "spark-links-*", WEIGHTS,
)  # fmt: skip


def home() -> Path:
    """Folder of all derived files: `GENRE_HOME`, else `.genre` in the working folder."""
    return Path(os.environ.get(HOME_VARIABLE) or HOME_DEFAULT).absolute()


def sizes() -> dict[Path, int]:
    """Bytes of each of our files and folders in `home`; whatever else lies there is not ours."""
    folder = home()
    ours = [path for name in OURS for path in sorted(folder.glob(name))]
    return {path: folder_bytes(path) for path in ours}


def folder_bytes(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def empty_home() -> None:
    """Delete our files in `home`, and `home` itself when nothing else is left in it.

    Raises `DataError` while a run is being trained.
    """
    for lock in home().glob("checkpoints/*/lock"):
        trained = DataError(
            f"run {lock.parent.name} is being trained; stop it first, or wait for its end"
        )
        with hold_lock(lock, trained):
            pass
    download = home() / DOWNLOAD_LOCK
    if download.exists():
        with hold_lock(
            download, DataError("the GTZAN collection is being downloaded; stop it first")
        ):
            pass
    for path in sizes():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with contextlib.suppress(OSError):
        home().rmdir()
