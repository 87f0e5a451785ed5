"""A library is sorted by playlists, links or moves, and no file is ever lost or overwritten."""

import errno
import os
import shutil

import pytest

from genre_mlflow.errors import DataError
from genre_mlflow.mlops.sorting import check_playlists, file_name, sort_files, write_playlists

GENRES = ["jazz", "drum & bass", "a/b"]


@pytest.fixture
def library(tmp_path):
    """Three songs, two of them of one name, and the rows of a table."""
    rows = []
    for place, (name, genre) in enumerate([("x/song.mp3", "jazz"), ("y/song.mp3", "jazz"),
                                           ("y/é 🎷.wav", "a/b")]):  # fmt: skip
        path = tmp_path / "music" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([place]) * 1000)
        rows.append({"path": str(path), "genre": genre})
    rows.append({"path": str(tmp_path / "music" / "bad.mp3"), "genre": ""})
    return rows


def below(folder):
    files = (p for p in folder.rglob("*") if p.is_file() or p.is_symlink())
    return {str(p.relative_to(folder)): p.read_bytes()[0] for p in files}


@pytest.mark.parametrize("move", [False, True])
def test_every_file_lands_in_its_genre_under_a_name_of_its_own(library, tmp_path, move):
    target = tmp_path / "sorted"
    assert list(sort_files(library, target, move=move)) == []
    found = below(target)
    assert found == {"jazz/song.mp3": 0, "jazz/song (2).mp3": 1, "a%2Fb/é 🎷.wav": 2}
    assert all((target / name).is_symlink() is not move for name in found)
    assert below(tmp_path / "music") == (
        {} if move else {"x/song.mp3": 0, "y/song.mp3": 1, "y/é 🎷.wav": 2}
    )
    assert list(sort_files(library, target, move=move)) == []  # again: nothing more
    assert below(target) == found


@pytest.mark.parametrize("move", [False, True])
def test_a_file_in_the_way_stays(library, tmp_path, move):
    (tmp_path / "sorted" / "jazz").mkdir(parents=True)
    (tmp_path / "sorted" / "jazz" / "song.mp3").write_bytes(b"\xff")
    list(sort_files(library[:1], tmp_path / "sorted", move=move))
    assert below(tmp_path / "sorted") == {"jazz/song.mp3": 255, "jazz/song (2).mp3": 0}


def test_moving_to_another_file_system_copies_first(library, tmp_path, monkeypatch):
    real = os.replace

    def other_system(source, target):  # what the kernel answers between two file systems
        if str(source).startswith(str(tmp_path / "music")):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        real(source, target)

    monkeypatch.setattr(os, "replace", other_system)
    assert list(sort_files(library, tmp_path / "sorted", move=True)) == []
    assert sorted(below(tmp_path / "sorted").values()) == [0, 1, 2]
    assert below(tmp_path / "music") == {}
    monkeypatch.setattr(shutil, "copy2", full_disk)
    (tmp_path / "music" / "x" / "song.mp3").write_bytes(b"\x07")
    ((path, reason),) = sort_files(library[:1], tmp_path / "sorted", move=True)
    assert (path.name, reason) == ("song.mp3", "moving failed: No space left on device")
    assert below(tmp_path / "music") == {"x/song.mp3": 7}
    assert 7 not in below(tmp_path / "sorted").values()


def full_disk(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_nothing_is_moved_out_of_a_read_only_folder_even_by_root(library, tmp_path):
    (tmp_path / "music" / "x").chmod(0o555)
    try:
        ((path, reason),) = sort_files(library, tmp_path / "sorted", move=True)
    finally:
        (tmp_path / "music" / "x").chmod(0o755)
    assert path == tmp_path / "music" / "x" / "song.mp3"
    assert reason.endswith("x is read-only")
    assert below(tmp_path / "music") == {"x/song.mp3": 0}
    assert sorted(below(tmp_path / "sorted").values()) == [1, 2]


def test_a_playlist_a_genre_holds_absolute_paths(library, tmp_path):
    assert write_playlists(library, tmp_path / "lists", GENRES) == 3
    names = {path.name for path in (tmp_path / "lists").iterdir()}
    assert names == {"jazz.m3u8", "drum & bass.m3u8", "a%2Fb.m3u8"}
    lines = (tmp_path / "lists" / "jazz.m3u8").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#EXTM3U"
    assert [line for line in lines if not line.startswith("#")] == [r["path"] for r in library[:2]]
    check_playlists(tmp_path / "lists", GENRES)
    assert write_playlists(library[:1], tmp_path / "lists", GENRES) == 1


def test_a_playlist_of_somebody_else_is_not_overwritten(tmp_path):
    (tmp_path / "jazz.m3u8").write_text("#EXTM3U\nmy favourites\n")
    with pytest.raises(DataError, match=r"jazz\.m3u8 was not written by genre-mlflow and stays"):
        check_playlists(tmp_path, GENRES)
    with pytest.raises(DataError, match=r"--m3u is .*, which is no folder"):
        check_playlists(tmp_path / "jazz.m3u8", GENRES)


@pytest.mark.parametrize(
    ("genre", "name"),
    [("jazz", "jazz"), ("a/b", "a%2Fb"), ("..", "%2E%2E"), ("con", "%63on"), ("x.", "x%2E"),
     ("two\nlines", "two%0Alines"), ("100%", "100%25"), ("R&B", "R&B"), ("éé", "éé")],
)  # fmt: skip
def test_any_genre_is_a_file_name(genre, name):
    assert file_name(genre) == name
