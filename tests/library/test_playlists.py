"""Playlists hold the songs of a table, where they lie now, and nobody else's is overwritten."""

import os

import pytest

from genre_mlflow.errors import DataError
from genre_mlflow.library.playlists import check_playlists, write_playlists

NAMES = {"jazz": "jazz", "two\nlines": "two%0Alines"}

TAGGED = b"ID3\x04" + bytes(9)


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """Songs with odd names, one of them by a relative path, a cover, and what is gone."""
    monkeypatch.chdir(tmp_path)
    os.mkdir("music")
    found = []
    for name, genre, content in [
        ("a.mp3", "jazz", TAGGED), ("é 🎷.wav", "jazz", b"fLaC"), ("bad.mp3", "", TAGGED),
        ("# hash.mp3", "two\nlines", b"OggS"), ("Icon\r", "jazz", TAGGED),
        ("cover.jpg", "jazz", b"\xff\xd8\xff\xe0"), ("gone.mp3", "jazz", b""),
    ]:  # fmt: skip
        path = tmp_path / "music" / name
        if content:
            path.write_bytes(content)
        found.append({"path": str(path), "predicted": genre})
    found[1]["path"] = os.path.join("music", "é 🎷.wav")
    return found


def songs(path):
    lines = path.read_bytes().decode("utf-8").split("\n")
    return [line for line in lines if line and not line.startswith("#")]


def test_a_playlist_a_genre_holds_absolute_paths(rows, tmp_path):
    assert write_playlists(rows, tmp_path / "lists", NAMES) == (3, 1)
    assert {path.name for path in (tmp_path / "lists").iterdir()} == {
        "jazz.m3u8", "two%0Alines.m3u8"
    }  # fmt: skip
    jazz = tmp_path / "lists" / "jazz.m3u8"
    assert jazz.read_text(encoding="utf-8").splitlines() == [
        "#EXTM3U", "#PLAYLIST:jazz", "# written by genre-mlflow",
        "#EXTINF:-1,a", f"{tmp_path}/music/a.mp3",
        "#EXTINF:-1,é 🎷", f"{tmp_path}/music/é 🎷.wav",
    ]  # fmt: skip
    assert songs(tmp_path / "lists" / "two%0Alines.m3u8") == [f"{tmp_path}/music/# hash.mp3"]


def test_our_own_playlists_are_written_anew(rows, tmp_path):
    write_playlists(rows, tmp_path, NAMES)
    check_playlists(tmp_path, NAMES)
    assert write_playlists(rows[:1], tmp_path, NAMES) == (1, 0)
    assert songs(tmp_path / "jazz.m3u8") == [f"{tmp_path}/music/a.mp3"]


def test_a_playlist_of_somebody_else_is_not_overwritten(tmp_path):
    (tmp_path / "jazz.m3u8").write_text("#EXTM3U\nmy favourites\n")
    with pytest.raises(DataError, match=r"jazz\.m3u8 was not written by genre-mlflow and stays"):
        check_playlists(tmp_path, NAMES)


def test_playlists_appear_whole_or_not_at_all(rows, tmp_path):
    def breaks():
        yield rows[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_playlists(breaks(), tmp_path / "lists", NAMES)
    assert list((tmp_path / "lists").iterdir()) == []
