"""Fetching the GTZAN collection from the page of its makers; the first address is dead."""

import hashlib
import os
import re
from pathlib import Path

from filelock import FileLock

from genre_mlflow.errors import DataError
from genre_mlflow.files.home import DOWNLOAD_LOCK, home

REPOSITORY = "marsyas/gtzan"
ARCHIVE = "data/genres.tar.gz"
SHA256 = re.compile(r"[0-9a-f]{64}")


def download(folder: Path) -> Path:
    """Fetch the archive into `folder`, or the rest of it, and return its path.

    The address is that of `huggingface_hub`, or `HF_ENDPOINT`. An archive that is there is not
    fetched again. Raises `DataError` when it fails; what has arrived stays, and the next call goes
    on from there.
    """
    archive = folder / Path(ARCHIVE).name
    folder.mkdir(parents=True, exist_ok=True)
    home().mkdir(parents=True, exist_ok=True)
    with FileLock(home() / DOWNLOAD_LOCK):  # two would write one partial file
        return archive if archive.is_file() else fetch_checked(archive)


def fetch_checked(archive: Path) -> Path:
    """Fetch the archive, and give it its name once it is whole. Raises `DataError`."""
    try:
        partial, etag = fetch(archive)
    except Exception as error:  # its errors, those of HTTP and of the disk have no other root
        what = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"the download of {ARCHIVE} from the dataset {REPOSITORY} failed: {what.rstrip('.')}; "
            "give the same command again to go on from there, or an archive that you have as "
            "--source"
        ) from error
    if SHA256.fullmatch(etag):
        check(partial, etag)
    os.replace(partial, archive)
    return archive


def fetch(archive: Path) -> tuple[Path, str]:
    """Bring the whole archive into a partial file; return it, and the ETag that it is named by.

    `hf_hub_download` throws away what has arrived when it fails (2.4 does; huggingface_hub's issue
    4196), and this is 1.2 GB. Its parts can go on.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.file_download import http_get

    url = hf_hub_url(REPOSITORY, ARCHIVE, repo_type="dataset")
    remote = get_hf_file_metadata(url, token=False)  # public; nobody's token is sent
    etag = re.sub(r"\W", "", remote.etag or "")
    partial = archive.with_name(f"{archive.name}.{etag}.partial")
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
    return partial, etag


def check(partial: Path, sha256: str) -> None:
    """Refuse, and remove, what is not the file that was announced."""
    with open(partial, "rb") as file:
        got = hashlib.file_digest(file, "sha256").hexdigest()
    if got != sha256:
        partial.unlink()
        raise DataError(
            f"the download of {ARCHIVE} has the checksum {got}, not {sha256} as announced; it is "
            "removed, give the same command again"
        )
