"""Playlists hold the songs of a table, where they lie now, and nobody else's is overwritten."""

from pathlib import Path

import pytest

from genre_mlflow.errors import DataError
from genre_mlflow.mlops.playlists import check_playlists, write_playlists

NAMES = {"jazz": "jazz", "two\nlines": "two%0Alines"}
ROWS = [
    {"path": "/music/a.mp3", "genre": "jazz"},
    {"path": "music/é 🎷.wav", "genre": "jazz"},
    {"path": "/music/bad.mp3", "genre": ""},
    {"path": "/music/# hash.mp3", "genre": "two\nlines"},
    {"path": "/music/Icon\r", "genre": "jazz"},
]


def songs(path):
    lines = path.read_bytes().decode("utf-8").split("\n")
    return [line for line in lines if line and not line.startswith("#")]


def test_a_playlist_a_genre_holds_absolute_paths(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    assert write_playlists(ROWS, tmp_path / "lists", NAMES, {}) == (3, 1)
    assert {path.name for path in (tmp_path / "lists").iterdir()} == {
        "jazz.m3u8", "two%0Alines.m3u8"
    }  # fmt: skip
    jazz = tmp_path / "lists" / "jazz.m3u8"
    assert jazz.read_text(encoding="utf-8").splitlines() == [
        "#EXTM3U", "#PLAYLIST:jazz", "# written by genre-mlflow",
        "#EXTINF:-1,a", "/music/a.mp3", "#EXTINF:-1,é 🎷", "/music/é 🎷.wav",
    ]  # fmt: skip
    assert songs(tmp_path / "lists" / "two%0Alines.m3u8") == ["/music/# hash.mp3"]


def test_moved_songs_are_listed_where_they_lie_now(tmp_path):
    write_playlists(ROWS[:1], tmp_path, NAMES, {"/music/a.mp3": "/sorted/jazz/a (2).mp3"})
    assert songs(tmp_path / "jazz.m3u8") == ["/sorted/jazz/a (2).mp3"]


def test_our_own_playlists_are_written_anew(tmp_path):
    write_playlists(ROWS, tmp_path, NAMES, {})
    check_playlists(tmp_path, NAMES)
    assert write_playlists(ROWS[:1], tmp_path, NAMES, {}) == (1, 0)
    assert songs(tmp_path / "jazz.m3u8") == ["/music/a.mp3"]


def test_a_playlist_of_somebody_else_is_not_overwritten(tmp_path):
    (tmp_path / "jazz.m3u8").write_text("#EXTM3U\nmy favourites\n")
    with pytest.raises(DataError, match=r"jazz\.m3u8 was not written by genre-mlflow and stays"):
        check_playlists(tmp_path, NAMES)


def test_playlists_appear_whole_or_not_at_all(tmp_path):
    def breaks():
        yield ROWS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_playlists(breaks(), tmp_path, NAMES, {})
    assert list(Path(tmp_path).iterdir()) == []
