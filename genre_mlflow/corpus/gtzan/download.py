"""Fetching the GTZAN collection from the page of its makers; the first address is dead."""

import hashlib
import os
from pathlib import Path

from filelock import FileLock

from genre_mlflow.errors import DataError
from genre_mlflow.files.home import DOWNLOAD_LOCK, home

REPOSITORY = "marsyas/gtzan"
REVISION = "7031b102fce5383cfdfa12714eaf42065e82b855"  # the commit that brought the archive
ARCHIVE = "data/genres.tar.gz"


def download(folder: Path, sha256: str) -> Path:
    """Fetch the archive into `folder`, or the rest of it, and return its path.

    The address is that of `huggingface_hub`, or `HF_ENDPOINT`; whatever answers there, only the
    file of this SHA-256 is taken. An archive that is there is not fetched again. Raises
    `DataError` when it fails; what has arrived stays unless it is the wrong file, and the next
    call goes on from there.
    """
    archive = folder / Path(ARCHIVE).name
    folder.mkdir(parents=True, exist_ok=True)
    home().mkdir(parents=True, exist_ok=True)
    with FileLock(home() / DOWNLOAD_LOCK):  # two would write one partial file
        return archive if archive.is_file() else fetch_checked(archive, sha256)


def fetch_checked(archive: Path, sha256: str) -> Path:
    """Fetch the archive, and give it its name once it is known to be the right one.

    Raises `DataError`.
    """
    try:
        partial = fetch(archive)
    except Exception as error:  # its errors, those of HTTP and of the disk have no other root
        what = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"the download of {ARCHIVE} from the dataset {REPOSITORY} failed: {what.rstrip('.')}; "
            "give the same command again to go on from there, or an archive that you have as "
            "--source"
        ) from error
    check(partial, sha256)
    os.replace(partial, archive)
    return archive


def fetch(archive: Path) -> Path:
    """Bring all that the address has into a partial file, and return it.

    `hf_hub_download` throws away what has arrived when it fails (2.4 does; huggingface_hub's issue
    4196), and this is 1.2 GB. Its parts can go on.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.file_download import http_get

    url = hf_hub_url(REPOSITORY, ARCHIVE, repo_type="dataset", revision=REVISION)
    remote = get_hf_file_metadata(url, token=False)  # public; nobody's token is sent
    partial = archive.with_name(f"{archive.name}.partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    with open(partial, "ab") as file:
        if file.tell() > (remote.size or 0):  # no part of it
            file.truncate(0)
        http_get(
            remote.location,
            file,
            resume_size=file.seek(0, os.SEEK_END),
            expected_size=remote.size,
            displayed_filename=archive.name,
        )
    return partial


def check(partial: Path, sha256: str) -> None:
    """Refuse, and remove, what is not the archive that is meant."""
    with open(partial, "rb") as file:
        got = hashlib.file_digest(file, "sha256").hexdigest()
    if got != sha256:
        partial.unlink()
        raise DataError(
            f"the download of {ARCHIVE} from the dataset {REPOSITORY} has the SHA-256 {got}, not "
            f"{sha256} as the archive is known to have; it is removed, and nothing was taken from "
            "it: give the same command again, or an archive that you have as --source"
        )
