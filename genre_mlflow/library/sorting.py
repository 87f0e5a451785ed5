"""A library sorted into folders by genre, as links or as the files themselves.

Nothing is overwritten, and a file that is moved is whole in one place at any time.
"""

import errno
import os
import shutil
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import count
from pathlib import Path

from genre_mlflow import signals
from genre_mlflow.corpus.folders import without_ending
from genre_mlflow.features.audio import is_recording_file
from genre_mlflow.files.atomic import sync_folder
from genre_mlflow.files.names import cut, n_bytes, too_long
from genre_mlflow.library.table import WholeRows, Write, hold, open_table

MOVES = ("path", "moved_to")  # columns of the table of moves
ANYBODY_WRITES = 0o222

Put = Callable[[Path, Path], None]  # a file into a folder
Failure = tuple[Path, str]


def link_files(
    rows: Iterable[Mapping[str, str]], folder: Path, names: Mapping[str, str]
) -> Iterator[Failure]:
    """Link every file with an answer into `folder/<genre>/`; yield what could not be.

    `names`: of the folders, by genre. A name that is taken by another file gets a number.
    """
    yield from put_files(rows, folder, names, link_file, "linking")


def move_files(
    rows: Iterable[Mapping[str, str]], folder: Path, names: Mapping[str, str], moves: Path
) -> Iterator[Failure]:
    """Move every file with an answer into `folder/<genre>/`; yield what could not be.

    Each move is noted in the CSV `moves` before it happens. Files that are gone, because an
    earlier call has moved them, are passed over.
    """
    with hold(moves):
        check_moves(moves)
        with open_table(moves, MOVES) as note:
            put = partial(move_file, note=note)
            yield from put_files(rows, folder, names, put, "moving")


def put_files(
    rows: Iterable[Mapping[str, str]], folder: Path, names: Mapping[str, str], put: Put, what: str
) -> Iterator[Failure]:
    """Put every recording with an answer into the folder of its genre."""
    for row in rows:
        signals.check()
        source = Path(os.path.abspath(row["path"]))
        if not row["predicted"] or not os.path.exists(source):
            continue
        try:
            if not is_recording_file(source):  # a cover stays with its album
                continue
            target = folder / names[row["predicted"]]
            target.mkdir(parents=True, exist_ok=True)
            put(source, target)
        except OSError as error:
            yield source, f"{what} failed: {error.strerror or error}"


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


def move_file(source: Path, folder: Path, note: Write) -> None:
    """Move into `folder` under a name that was free.

    What lies in a folder that nobody may write to stays, also for root, whom no mode stops.
    """
    if source.is_symlink():
        raise OSError(errno.EINVAL, "it is a link, which may point nowhere from another folder")
    if not source.parent.stat().st_mode & ANYBODY_WRITES:
        raise PermissionError(errno.EACCES, f"{source.parent} is read-only")
    try:
        take_name(source, source, folder, note)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy_over(source, folder, note)


def copy_over(source: Path, folder: Path, note: Write) -> None:
    """Copy to another file system, and delete the original once the copy is on the disk."""
    copy = folder / f".{uuid.uuid4().hex}.partial"
    try:
        shutil.copy2(source, copy)
        with copy.open("rb") as file:
            os.fsync(file.fileno())
        path = take_name(copy, source, folder, note)
        sync_folder(folder)
    except BaseException:
        copy.unlink(missing_ok=True)
        raise
    try:
        source.unlink(missing_ok=True)
    except OSError:
        if os.path.lexists(source):
            path.unlink()
        raise


def take_name(file: Path, source: Path, folder: Path, note: Write) -> Path:
    """Rename `file` to the first free name for `source`, noted before it is done."""
    for path in free_names(source, folder):
        try:
            path.open("xb").close()  # ours from now on: nobody else can have taken the name
        except FileExistsError:
            continue
        try:
            note({"path": str(source), "moved_to": os.path.abspath(path)})
            os.replace(file, path)
        except BaseException:
            if os.path.lexists(file):  # else an interrupt came after the renaming
                path.unlink()
            raise
        return path
    raise AssertionError("names never end")


def free_names(source: Path, folder: Path) -> Iterator[Path]:
    """The file's own name in `folder`, then with (2), (3), ... before its ending.

    A long one loses letters at its end for the number.
    """
    yield folder / source.name
    bare = without_ending(source.name)
    for number in count(2):
        added = f" ({number}){source.name[len(bare) :]}"
        path = folder / f"{bare}{added}"
        if too_long(path):
            path = folder / (cut(bare, n_bytes(source.name) - n_bytes(added)).rstrip() + added)
        yield path


def check_moves(moves: Path) -> None:
    """Refuse a table of moves that is something else; cut off half a row of a run that was killed.

    Raises `DataError`.
    """
    if moves.exists():
        rows = WholeRows(moves, MOVES)
        for _ in rows:
            pass
        rows.cut()


def moves_of(moves: Path) -> dict[str, list[str]]:
    """Where the files lie that have been moved, by where they lay; the first move is first.

    One that was noted and never happened, because the run was killed, does not count.
    """
    found: dict[str, list[str]] = {}
    if moves.exists():
        for row in WholeRows(moves, MOVES):
            if os.path.lexists(row["moved_to"]) or not os.path.lexists(row["path"]):
                found.setdefault(row["path"], []).append(row["moved_to"])
    return found


def with_places(
    rows: Iterable[Mapping[str, str]], moves: Mapping[str, list[str]]
) -> Iterator[tuple[dict[str, str], bool]]:
    """Each row with its song's present `path`, and whether it has been moved there.

    After a move another song may come to the old path: the second row of a path is its.
    """
    seen: Counter[str] = Counter()
    for row in rows:
        path = os.path.abspath(row["path"])
        places = moves.get(path, [])
        number, seen[path] = seen[path], seen[path] + 1
        is_moved = number < len(places)
        yield {**row, "path": places[number] if is_moved else path}, is_moved
