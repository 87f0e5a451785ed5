"""A library is sorted by links or moves, and no file is ever lost or overwritten."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from genre_mlflow.errors import DataError
from genre_mlflow.library import sorting
from genre_mlflow.library.sorting import link_files, move_files, moves_of, with_places

NAMES = {"jazz": "jazz", "a/b": "a%2Fb"}
SHM = Path("/dev/shm")


@pytest.fixture
def library(tmp_path):
    """Three songs, two of them of one name, and the rows of a table."""
    rows = []
    for place, (name, genre) in enumerate([("x/song.mp3", "jazz"), ("y/song.mp3", "jazz"),
                                           ("y/é 🎷.wav", "a/b")]):  # fmt: skip
        path = tmp_path / "music" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"fLaC" + bytes([place]) * 1000)
        rows.append({"path": str(path), "predicted": genre})
    rows.append({"path": str(tmp_path / "music" / "bad.mp3"), "predicted": ""})
    return rows


def below(folder):
    files = (p for p in folder.rglob("*") if p.is_file() or p.is_symlink())
    return {str(p.relative_to(folder)): p.read_bytes()[-1] for p in files}


def new_places(moves):
    return {path: places[-1] for path, places in moves_of(moves).items()}


def sort(rows, folder, move):
    moves = folder.with_name("moves.csv")
    return list(move_files(rows, folder, NAMES, moves) if move else link_files(rows, folder, NAMES))


def full_disk(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("move", [False, True])
def test_every_file_lands_in_its_genre_under_a_name_of_its_own(library, tmp_path, move):
    target = tmp_path / "sorted"
    (tmp_path / "music" / "bad.mp3").write_bytes(b"\x09")
    assert sort(library, target, move) == []
    found = below(target)
    assert found == {"jazz/song.mp3": 0, "jazz/song (2).mp3": 1, "a%2Fb/é 🎷.wav": 2}
    assert all((target / name).is_symlink() is not move for name in found)
    left = {} if move else {"x/song.mp3": 0, "y/song.mp3": 1, "y/é 🎷.wav": 2}
    assert below(tmp_path / "music") == {"bad.mp3": 9, **left}
    assert sort(library, target, move) == []  # again: nothing more
    assert below(target) == found


@pytest.mark.parametrize("move", [False, True])
@pytest.mark.parametrize("kind", ["file", "folder", "link to nothing", "link to another"])
def test_what_is_in_the_way_stays(library, tmp_path, move, kind):
    taken = tmp_path / "sorted" / "jazz" / "song.mp3"
    taken.parent.mkdir(parents=True)
    if kind == "file":
        taken.write_bytes(b"\xff")
    elif kind == "folder":
        taken.mkdir()
    else:
        taken.symlink_to("nothing" if kind == "link to nothing" else library[1]["path"])
    before = taken.lstat()
    assert sort(library[:1], tmp_path / "sorted", move) == []
    assert taken.lstat() == before
    assert (taken.parent / "song (2).mp3").read_bytes()[-1] == 0


@pytest.mark.parametrize("move", [False, True])
def test_a_file_that_cannot_be_sorted_is_named_and_the_rest_goes_on(library, tmp_path, move):
    (tmp_path / "sorted").mkdir()
    (tmp_path / "sorted" / "jazz").touch()  # no folder
    failures = sort(library, tmp_path / "sorted", move)
    assert [str(path) for path, _ in failures] == [row["path"] for row in library[:2]]
    assert all(reason.endswith("ing failed: File exists") for _, reason in failures)
    assert (tmp_path / "sorted" / "a%2Fb" / "é 🎷.wav").exists()


def test_moves_are_noted_with_their_new_places(library, tmp_path):
    sort(library, tmp_path / "sorted", move=True)
    found = new_places(tmp_path / "moves.csv")
    assert list(found) == [row["path"] for row in library[:3]]
    assert [Path(new).read_bytes()[-1] for new in found.values()] == [0, 1, 2]


def test_a_table_of_moves_that_is_something_else_stays_and_nothing_is_moved(library, tmp_path):
    (tmp_path / "moves.csv").write_text("my own moves\n")
    with pytest.raises(DataError, match=r"moves\.csv is a table of other columns"):
        sort(library, tmp_path / "sorted", move=True)
    assert (tmp_path / "moves.csv").read_text() == "my own moves\n"
    assert len(below(tmp_path / "music")) == 3


def test_a_link_is_not_moved(library, tmp_path):
    link = tmp_path / "music" / "link.mp3"
    link.symlink_to("x/song.mp3")
    ((path, reason),) = sort(
        [{"path": str(link), "predicted": "jazz"}], tmp_path / "sorted", move=True
    )
    assert path == link
    assert reason == "moving failed: it is a link, which may point nowhere from another folder"
    assert link.read_bytes()[-1] == 0


def test_nothing_is_moved_out_of_a_read_only_folder_even_by_root(library, tmp_path):
    (tmp_path / "music" / "x").chmod(0o555)
    try:
        ((path, reason),) = sort(library, tmp_path / "sorted", move=True)
    finally:
        (tmp_path / "music" / "x").chmod(0o755)
    assert path == tmp_path / "music" / "x" / "song.mp3"
    assert reason.endswith("x is read-only")
    assert below(tmp_path / "music") == {"x/song.mp3": 0}
    assert sorted(below(tmp_path / "sorted").values()) == [1, 2]


def test_an_interrupt_right_after_a_move_loses_nothing(library, tmp_path, monkeypatch):
    real = os.replace

    def interrupted(source, target):
        real(source, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sort(library, tmp_path / "sorted", move=True)
    assert below(tmp_path / "sorted") == {"jazz/song.mp3": 0}
    assert list(new_places(tmp_path / "moves.csv").values()) == [
        str(tmp_path / "sorted" / "jazz" / "song.mp3")
    ]


@pytest.fixture
def other_system(tmp_path):
    """A folder on another file system than `tmp_path`."""
    if not SHM.is_dir() or SHM.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip(f"{SHM} is no file system of its own")
    folder = SHM / f"{tmp_path.name}-{os.getpid()}"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def test_moving_to_another_file_system_copies_first(library, tmp_path, other_system):
    times = [os.stat(row["path"]).st_mtime_ns for row in library[:3]]
    assert sort(library, other_system / "sorted", move=True) == []
    assert below(other_system / "sorted") == {
        "jazz/song.mp3": 0, "jazz/song (2).mp3": 1, "a%2Fb/é 🎷.wav": 2
    }  # fmt: skip
    assert below(tmp_path / "music") == {}
    places = new_places(other_system / "moves.csv").values()
    assert [os.stat(place).st_mtime_ns for place in places] == times


@pytest.mark.parametrize("broken", ["copy", "delete"])
def test_a_copy_that_fails_leaves_the_file_where_it_was(
    library, tmp_path, other_system, monkeypatch, broken
):
    if broken == "copy":
        monkeypatch.setattr(sorting.shutil, "copy2", full_disk)
    else:
        real = Path.unlink
        monkeypatch.setattr(
            Path, "unlink",
            lambda self, **more: full_disk() if "music" in self.parts else real(self, **more),
        )  # fmt: skip
    failures = sort(library[:1], other_system / "sorted", move=True)
    assert [reason for _, reason in failures] == ["moving failed: No space left on device"]
    assert below(tmp_path / "music")["x/song.mp3"] == 0
    assert below(other_system / "sorted") == {}
    assert new_places(other_system / "moves.csv") == {}


@pytest.mark.parametrize("move", [False, True])
def test_a_cover_stays_with_its_album(library, tmp_path, move):
    cover = tmp_path / "music" / "x" / "cover.jpg"
    cover.write_bytes(b"\xff\xd8\xff\xe0 a picture")
    assert sort([{"path": str(cover), "predicted": "jazz"}], tmp_path / "sorted", move) == []
    assert cover.exists()
    assert below(tmp_path / "sorted") == {}


def test_a_new_song_at_an_old_path_has_a_row_and_a_place_of_its_own(library, tmp_path):
    old = library[0]
    sort([old], tmp_path / "sorted", move=True)
    song = Path(old["path"])
    song.write_bytes(b"fLaC" + bytes([9]) * 10)
    rows = [old, {"path": str(song), "predicted": "a/b"}]
    moves = moves_of(tmp_path / "moves.csv")
    first, second = with_places(rows, moves)
    assert first == ({"path": str(tmp_path / "sorted/jazz/song.mp3"), "predicted": "jazz"}, True)
    assert second == (rows[1], False)
    sort([row for row, is_moved in with_places(rows, moves) if not is_moved],
         tmp_path / "sorted", move=True)  # fmt: skip
    assert below(tmp_path / "sorted") == {"jazz/song.mp3": 0, "a%2Fb/song.mp3": 9}
    places = [row["path"] for row, _ in with_places(rows, moves_of(tmp_path / "moves.csv"))]
    assert [Path(place).read_bytes()[-1] for place in places] == [0, 9]


@pytest.mark.parametrize("move", [False, True])
@pytest.mark.parametrize(
    ("name", "numbered"),
    [
        ("n" * 251 + ".mp3", "n" * 247 + " ({}).mp3"),
        ("\u65e5" * 83 + "n.mp3", "\u65e5" * 82 + " ({}).mp3"),  # 250 bytes
        ("Mr. " + "X" * 251, "Mr. " + "X" * 247 + " ({})"),
        ("Mr. X", "Mr. X ({})"),
    ],
)
def test_a_name_that_is_taken_gets_a_number_however_long_it_is(tmp_path, name, numbered, move):
    rows = []
    for place in range(3):
        path = tmp_path / "music" / str(place) / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"fLaC" + bytes([place]) * 1000)
        rows.append({"path": str(path), "predicted": "jazz"})
    wanted = {name: 0, numbered.format(2): 1, numbered.format(3): 2}
    for _ in range(2):  # again: nothing more
        assert sort(rows, tmp_path / "sorted", move) == []
        assert below(tmp_path / "sorted" / "jazz") == wanted
