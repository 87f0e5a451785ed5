"""A library sorted by genre: playlists, links, or the files themselves. Nothing is overwritten."""

import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import IO

from genre_mlflow.errors import DataError
from genre_mlflow.files import atomic_write

PLAYLIST_HEAD = "#EXTM3U\n#PLAYLIST:{genre}\n# written by genre-mlflow\n"
OURS = b"# written by genre-mlflow"
# Names that Windows keeps for devices.
DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{d}{n}" for d in ("COM", "LPT") for n in range(1, 10))}
ANYBODY_WRITES = 0o222
UNSAFE = set('/\\:*?"<>|%')

Answer = Mapping[str, str]


def file_name(genre: str) -> str:
    """A genre as the name of a file on any system; different genres have different names."""
    safe = "".join(
        f"%{ord(c):02X}" if c in UNSAFE or ord(c) < 32 or (i == 0 and c == ".") else c
        for i, c in enumerate(genre)
    )
    stripped = safe.rstrip(". ")
    safe = stripped + "".join(f"%{ord(c):02X}" for c in safe[len(stripped) :])
    return f"%{ord(safe[0]):02X}{safe[1:]}" if safe.upper() in DEVICES else safe


def check_playlists(folder: Path, genres: Iterable[str]) -> None:
    """Raise `DataError` for a playlist in the way that somebody else has written."""
    if folder.exists() and not folder.is_dir():
        raise DataError(f"--m3u is {folder}, which is no folder")
    for genre in genres:
        path = playlist(folder, genre)
        if path.exists() and OURS not in path.read_bytes()[:1000]:
            raise DataError(
                f"{path} was not written by genre-mlflow and stays; move it away, or name another "
                "--m3u"
            )


def playlist(folder: Path, genre: str) -> Path:
    """Where the playlist of a genre lies."""
    return folder / f"{file_name(genre)}.m3u8"


def write_playlists(rows: Iterable[Answer], folder: Path, genres: Iterable[str]) -> int:
    """One playlist a genre, with absolute paths, sure answers or not; return how many songs."""
    n_songs = 0
    with ExitStack() as stack:
        files: dict[str, IO[bytes]] = {}
        for genre in genres:
            files[genre] = stack.enter_context(atomic_write(playlist(folder, genre)))
            title = " ".join(genre.split())
            files[genre].write(PLAYLIST_HEAD.format(genre=title).encode())
        for row in rows:
            path = os.path.abspath(row["path"])
            if row["genre"] and "\n" not in path and "\r" not in path:  # a line is all a song has
                title = Path(path).stem
                files[row["genre"]].write(f"#EXTINF:-1,{title}\n{path}\n".encode())
                n_songs += 1
    return n_songs


def sort_files(rows: Iterable[Answer], folder: Path, *, move: bool) -> Iterator[tuple[Path, str]]:
    """Link or move every file with an answer to `folder/<genre>/`; yield what could not be.

    A name that is taken by another file gets a number. Files that are gone, because an earlier
    call has moved them, are passed over.
    """
    for row in rows:
        source = Path(row["path"]).absolute()
        if not row["genre"] or not source.exists():
            continue
        try:
            target = folder / file_name(row["genre"])
            target.mkdir(parents=True, exist_ok=True)
            (move_file if move else link_file)(source, target)
        except OSError as error:
            yield source, f"{'moving' if move else 'linking'} failed: {error.strerror or error}"


def link_file(source: Path, folder: Path) -> None:
    """Make a symbolic link in `folder`, unless there is one to this file."""
    for path in free_names(source, folder):
        if path.is_symlink() and os.readlink(path) == str(source):
            return
        try:
            path.symlink_to(source)
        except FileExistsError:
            continue
        return


def move_file(source: Path, folder: Path) -> None:
    """Move into `folder` under a name that was free; the file is whole in one place at any time.

    What lies in a folder that nobody may write to stays, also for root, whom no mode stops.
    """
    if not source.parent.stat().st_mode & ANYBODY_WRITES:
        raise PermissionError(errno.EACCES, f"{source.parent} is read-only")
    for path in free_names(source, folder):
        try:
            path.open("xb").close()  # ours from now on: nobody else can have taken the name
        except FileExistsError:
            continue
        try:
            os.replace(source, path)
        except OSError as error:
            if error.errno != errno.EXDEV:
                path.unlink()
                raise
            copy_over(source, path)
        return


def copy_over(source: Path, path: Path) -> None:
    """Copy to another file system, and delete the original once the copy is on the disk."""
    try:
        shutil.copy2(source, path)
        with path.open("rb") as file:
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    source.unlink()


def free_names(source: Path, folder: Path) -> Iterator[Path]:
    """The file's own name in `folder`, then with (2), (3), ... before its ending."""
    yield folder / source.name
    for number in count(2):
        yield folder / f"{source.stem} ({number}){source.suffix}"
