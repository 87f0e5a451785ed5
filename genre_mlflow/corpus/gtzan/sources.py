"""The files of a collection in a folder or an archive, whatever the folders in it are called."""

import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from genre_mlflow.corpus.gtzan.collection import MAX_TRACK_BYTES
from genre_mlflow.errors import DataError
from genre_mlflow.files.words import counted

# RuntimeError: a password; NotImplementedError: an unknown compression.
BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError,
          RuntimeError, NotImplementedError)  # fmt: skip

# From the name of a file to its track and extension; None for a file that is not wanted.
Find = Callable[[str], tuple[str, str] | None]


@dataclass(frozen=True)
class Found:
    """A file that is called like a track. Inside an archive it has no `path`."""

    track: str
    extension: str
    data: bytes
    where: str
    path: Path | None = None


def read_source(source: Path, find: Find) -> Iterator[Found]:
    """Every file in a folder or an archive that `find` knows by its name; others are ignored.

    Of an archive only file names are used, never the folders in it. Raises `DataError` for what is
    neither, is damaged, or cannot be read.
    """
    if os.path.isdir(source):
        return read_folder(source, find)
    if os.path.isfile(source) and zipfile.is_zipfile(source):
        return read_archive(source, zip_members(source, find))
    if os.path.isfile(source) and is_tar(source):
        return read_archive(source, tar_members(source, find))
    raise DataError(f"{source} is no folder and no .zip or .tar.gz archive, or a damaged one")


def is_tar(path: Path) -> bool:
    """True for a tar archive, whole or cut off."""
    try:
        return tarfile.is_tarfile(path)
    except (EOFError, zlib.error, lzma.LZMAError):
        return True


def read_folder(folder: Path, find: Find) -> Iterator[Found]:
    """Files at any depth, hidden folders left out."""
    for root, folders, names in os.walk(folder, onerror=refuse, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(root, name)
            found = find(name)
            if found and path.is_file():
                with open(path, "rb") as file:
                    yield Found(*found, file.read(MAX_TRACK_BYTES + 1), str(path), path)


def refuse(error: OSError) -> None:
    """A folder that is out of reach may hold any number of tracks."""
    raise DataError(f"{error.filename} cannot be read: {error.strerror}") from error


def read_archive(archive: Path, members: Iterator[Found]) -> Iterator[Found]:
    """The same files. Raises `DataError` where the archive breaks off."""
    n_read = 0
    try:
        for found in members:
            yield found
            n_read += 1
    except (*BROKEN, OSError) as error:
        what = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{archive} is damaged or truncated, after {counted(n_read, 'track')} ({what}); remove "
            "it, get it anew and give the same command again"
        ) from error


def zip_members(archive: Path, find: Find) -> Iterator[Found]:
    """Files of a ZIP archive."""
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            found = find(base_name(member.filename))
            if found and not member.is_dir():
                with opened.open(member) as file:
                    yield in_archive(found, file, member.filename, archive)


def tar_members(archive: Path, find: Find) -> Iterator[Found]:
    """Files of a tar archive, compressed or not; links and devices are none."""
    with tarfile.open(archive) as opened:
        for member in opened:
            found = find(base_name(member.name))
            file = opened.extractfile(member) if found and member.isfile() else None
            if found and file:
                yield in_archive(found, file, member.name, archive)


def in_archive(found: tuple[str, str], file: IO[bytes], name: str, archive: Path) -> Found:
    """A member; never more of it than a track can have, whatever it unpacks to."""
    return Found(*found, file.read(MAX_TRACK_BYTES + 1), f"{name!r} in {archive}")


def base_name(name: str) -> str:
    """The last part of a path with slashes of either kind."""
    return name.replace("\\", "/").rpartition("/")[2]
