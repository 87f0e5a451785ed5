"""Artists and albums are read from the tags of any format, and nobody is no artist."""

import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import mutagen
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from mutagen import aiff, apev2, asf, easyid3, easymp4, flac, id3, oggopus, oggvorbis, wave
from sounds import by_ffmpeg, encode, tone

from genre_mlflow.cli.main import main
from genre_mlflow.corpus.corpus import open_corpus
from genre_mlflow.corpus.groups import groups_from
from genre_mlflow.corpus.settings import CorpusSettings, SplitSettings
from genre_mlflow.corpus.tags import INFLATED, NOBODY, read_tags, tagged, write_tagged
from genre_mlflow.errors import DataError

SOUND = tone(1.5)
TAGS = {"artist": "Björk", "album": "Début", "albumartist": "Björk & Co"}
FRAMES = {"artist": id3.TPE1, "album": id3.TALB, "albumartist": id3.TPE2}


def write_frames(file: mutagen.FileType, **values: str) -> None:
    file.add_tags()
    for name, value in values.items():
        file.tags.add(FRAMES[name](encoding=3, text=[value]))
    file.save()


def write_easily(file: mutagen.FileType, **values: str) -> None:
    if file.tags is None:
        file.add_tags()
    file.update({name: [value] for name, value in values.items()})
    file.save()


def write_tags(path: Path, **values: str) -> Path:
    """A file of the format that its name tells, with tags as players write them."""
    kind = path.suffix[1:]
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind in ("m4a", "wma", "wv"):
        path.write_bytes(by_ffmpeg(SOUND, f"x.{kind}"))
    else:
        subtype = {"opus": "OPUS", "ogg": "VORBIS"}.get(kind, "")
        name, rate = ("OGG", 48_000) if kind == "opus" else (kind.upper(), 22_050)
        path.write_bytes(encode(tone(1.5, rate=rate), name, subtype, rate))
    if kind in ("wav", "aiff"):
        write_frames({"wav": wave.WAVE, "aiff": aiff.AIFF}[kind](path), **values)
    elif kind == "wma":
        file = asf.ASF(path)
        names = {"artist": "Author", "album": "WM/AlbumTitle", "albumartist": "WM/AlbumArtist"}
        file.tags.update({names[name]: value for name, value in values.items()})
        file.save()
    elif kind == "wv":
        tags = apev2.APEv2()
        names = {"artist": "Artist", "album": "Album", "albumartist": "Album Artist"}
        tags.update({names[name]: value for name, value in values.items()})
        tags.save(path)
    else:
        opened = {"mp3": easyid3.EasyID3FileType, "m4a": easymp4.EasyMP4, "flac": flac.FLAC,
                  "ogg": oggvorbis.OggVorbis, "opus": oggopus.OggOpus}[kind](path)  # fmt: skip
        write_easily(opened, **values)
    return path


@pytest.mark.parametrize("kind", ["mp3", "flac", "ogg", "opus", "wav", "aiff", "m4a", "wma", "wv"])
def test_tags_of_any_format_are_read(tmp_path, kind):
    assert read_tags(str(write_tags(tmp_path / f"x.{kind}", **TAGS))) == TAGS


@pytest.mark.parametrize("kind", ["mp3", "flac", "wav"])
def test_a_file_without_tags_is_nobodys(tmp_path, kind):
    (tmp_path / f"x.{kind}").write_bytes(encode(SOUND, kind.upper()))
    assert read_tags(str(tmp_path / f"x.{kind}")) == dict.fromkeys(TAGS, "")


def test_old_tags_behind_an_mp3_are_read(tmp_path):
    path = tmp_path / "x.mp3"
    path.write_bytes(encode(SOUND, "MP3"))
    tags = apev2.APEv2()
    tags["Artist"] = "Ann"
    tags.save(path)
    assert read_tags(str(path))["artist"] == "Ann"
    path.write_bytes(encode(SOUND, "MP3") + b"TAG" + b"Title".ljust(30) + b"Old".ljust(30, b"\0")
                     + bytes(65))  # fmt: skip
    assert read_tags(str(path))["artist"] == "Old"


def manifest_of(folder: Path, **artists: str) -> pd.DataFrame:
    rows = [
        (f"rock/{name}", str(write_tags(folder / "rock" / f"{name}.flac", artist=artist)))
        for name, artist in artists.items()
    ]
    return pd.DataFrame(rows, columns=["track_id", "path"])


@pytest.mark.parametrize(
    "name", [*sorted(NOBODY), "<Unknown>", "[Unknown Artist]", " VARIOUS  Artists"]
)
def test_nobody_is_no_artist(tmp_path, name):
    (artist,) = tagged(manifest_of(tmp_path, a=name)).table["artist"]
    assert artist == ""


def test_capitals_blanks_and_forms_of_letters_do_not_part(tmp_path):
    names = {"a": "The  Björk", "b": "the björk ", "c": "THE BJO\u0308RK", "d": "Other"}
    found = tagged(manifest_of(tmp_path, **names))
    assert list(found.table["artist"]) == [*["The Björk"] * 3, "Other"]
    assert found.summary.startswith("artist: 2 names on 4 tracks, 0 without one, each a group")


def test_an_album_is_named_with_whose_it_is(tmp_path):
    by = {"a": {"artist": "A"}, "b": {"artist": "B"}, "c": {"artist": "C", "albumartist": "B"},
          "d": {"artist": "D", "albumartist": "Various Artists"},
          "e": {"artist": "E", "albumartist": "VA"}}  # fmt: skip
    paths = {name: write_tags(tmp_path / f"{name}.flac", album="Hits", **one)
             for name, one in by.items()}  # fmt: skip
    manifest = pd.DataFrame({"track_id": list(paths), "path": [str(p) for p in paths.values()]})
    table = tagged(manifest).table
    assert list(table["album"]) == ["Hits (A)", "Hits (B)", "Hits (B)", "Hits", "Hits"]
    assert list(table["albumartist"]) == ["", "", "B", "", ""]


def packed(size: int, comments: Sequence[int] = ()) -> bytes:
    """An ID3 tag whose artist inflates to so many bytes, behind other fields that do."""
    fields = b"".join(field(b"TXXX", one) for one in comments) + field(b"TPE1", size)
    n = len(fields)
    told = bytes([n >> 21 & 127, n >> 14 & 127, n >> 7 & 127, n & 127])
    return b"ID3\x03\0\0" + told + fields


def field(name: bytes, size: int) -> bytes:
    """A compressed field of ID3."""
    text = zlib.compress(b"\3" + b"A" * size)
    return name + (len(text) + 4).to_bytes(4) + b"\0\x80" + (size + 1).to_bytes(4) + text


def test_a_field_that_inflates_without_end_is_not_followed(tmp_path):
    small, large = tmp_path / "small.mp3", tmp_path / "large.mp3"
    small.write_bytes(packed(50) + encode(SOUND, "MP3"))
    large.write_bytes(packed(2 * INFLATED) + encode(SOUND, "MP3"))
    manifest = pd.DataFrame({"track_id": ["large", "small"], "path": [str(large), str(small)]})
    assert list(tagged(manifest).table["artist"]) == ["", "A" * 50]


@pytest.mark.parametrize(("size", "artist"), [(INFLATED // 8, "A" * 50), (INFLATED // 4, "")])
def test_what_the_fields_of_a_file_inflate_to_together_is_bounded(tmp_path, size, artist):
    path = tmp_path / "x.mp3"
    path.write_bytes(packed(50, [size] * 4) + encode(SOUND, "MP3"))
    for _ in range(2):  # each file may as much
        assert read_tags(str(path))["artist"] == artist


def test_the_installed_mutagen_inflates_by_what_bounds_it(tmp_path, monkeypatch):
    read_tags(str(tmp_path))
    monkeypatch.delattr(id3._frames, "zlib")
    with pytest.raises(DataError, match=rf"^mutagen {mutagen.version_string} inflates"):
        read_tags(str(tmp_path))


HOSTILE = {
    "cut.flac": lambda: encode(SOUND, "FLAC")[:60],
    "noise.mp3": lambda: b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + os.urandom(5000),
    "noise.ogg": lambda: b"OggS" + os.urandom(5000),
    "deep.m4a": lambda: b"\0\0\0\x08ftyp" + b"\0\0\x27\x10moov" * 3000,
    "empty.wav": lambda: b"",
    "text.mp3": lambda: b"no music",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_tags_that_cannot_be_read_are_no_error(tmp_path, name):
    (tmp_path / name).write_bytes(HOSTILE[name]())
    manifest = pd.DataFrame({"track_id": [name], "path": [str(tmp_path / name)]})
    found = tagged(manifest)
    assert (found.table.drop(columns="track_id") == "").all(axis=None)
    assert found.n_unreadable in (0, 1)
    assert tagged(manifest.assign(path=str(tmp_path / "gone"))).summary.endswith(": 1 file")


def test_a_name_without_end_or_with_letters_that_steer_is_one_cell(tmp_path):
    names = {"a": "x" * 10_000, "b": 'two\nlines, "quoted"\x1b[2J', "c": "=1+1"}
    found = tagged(manifest_of(tmp_path, **names))
    write_tagged(found, tmp_path / "groups.csv")
    read = groups_from(tmp_path / "groups.csv", "artist")
    assert list(read["artist"]) == ["x" * 200, 'two lines, "quoted"\\x1b[2J', "=1+1"]


def test_segments_beside_the_whole_have_no_row(tmp_path):
    manifest = manifest_of(tmp_path, a="Ann", b="Bob")
    parts = manifest.assign(track_id=[f"{track}.seg000" for track in manifest["track_id"]])
    both = pd.concat([manifest, parts.iloc[:1]], ignore_index=True)
    assert list(tagged(both).table["track_id"]) == ["rock/a", "rock/b"]
    assert list(tagged(parts).table["artist"]) == ["Ann", "Bob"]


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """Three genres of four artists with three songs each."""
    folder, rng = tmp_path / "music", np.random.default_rng(0)
    for genre in ("blues", "jazz", "rock"):
        for n in range(12):
            path = folder / genre / f"{n}.flac"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode(rng.uniform(-0.5, 0.5, 22_050).astype(np.float32), "FLAC"))
            write_easily(flac.FLAC(path), artist=f"{genre} {n // 3}", album=f"{n // 6}")
    return folder


def test_the_table_of_a_folder_keeps_artists_and_albums_together(music, tmp_path):
    out = tmp_path / "groups.csv"
    result = CliRunner().invoke(main, ["corpus", "groups", str(music), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "artist: 12 names on 36 tracks, 0 without one" in result.output
    assert f"Groups: {out} (36 tracks)\n" in result.output
    for column, n_groups in (("artist", 12), ("album", 12)):
        dealing = SplitSettings(groups=str(out), group_by=column)
        found = open_corpus(CorpusSettings(data=str(music)), dealing).split.grouped
        assert found["group"].nunique() == n_groups
        assert (found.groupby("group")["split"].nunique() == 1).all()
