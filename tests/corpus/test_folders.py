"""Folders as people have them: nothing in them is passed over without a word."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from sounds import by_ffmpeg, encode, tone

from genre_mlflow.cli.main import main
from genre_mlflow.corpus.corpus import open_corpus, overview
from genre_mlflow.corpus.folders import is_litter, look_below, without_ending
from genre_mlflow.corpus.scan import scan
from genre_mlflow.corpus.settings import CorpusSettings, SplitSettings
from genre_mlflow.errors import DataError


def recording(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(tone(1.2, 200.0 + 7 * seed, seed=seed)))


def picture(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 32), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """Two genres of four recordings, two of them in an album."""
    folder = tmp_path / "music"
    for seed in range(8):
        genre, album = ("jazz", "rock")[seed % 2], "album/" if seed > 3 else ""
        recording(folder / genre / f"{album}{seed}.wav", seed)
    return folder


def ids(folder: Path) -> set[str]:
    return set(scan(folder).manifest["track_id"])


@pytest.mark.parametrize("name", [
    "._a.wav", ".DS_Store", "Thumbs.db", "desktop.ini", ".Trashes", ".git", ".x.csv.lock",
    ".syncthing.a.wav.tmp", "@eaDir", "lost+found",
])  # fmt: skip
def test_litter_is_known_by_name(name):
    assert is_litter(name)


@pytest.mark.parametrize("name", ["...And Justice for All", ".pop", ".38 Special", "trash.wav"])
def test_names_that_begin_with_a_dot_are_names(name):
    assert not is_litter(name)


def test_what_begins_with_a_dot_is_read_and_litter_is_counted(music):
    before = ids(music)
    recording(music / "jazz" / "...And Justice for All" / "...Baby One More Time.wav", 20)
    (music / "jazz" / ".DS_Store").write_bytes(b"x")
    (music / ".pop").mkdir()
    for seed in (30, 31, 32):
        recording(music / ".pop" / f".{seed}.wav", seed)
    (music / "rock" / "__MACOSX").mkdir()
    found = scan(music)
    assert set(found.manifest["track_id"]) - before == {
        "jazz/...And Justice for All/...Baby One More Time", ".pop/.30", ".pop/.31", ".pop/.32"
    }  # fmt: skip
    litter = [Path(path).name for path in found.notes["files_of_other_programs_left_out"]]
    assert litter == [".DS_Store", "__MACOSX"]


def test_links_to_folders_are_followed_once_and_loops_end(music, tmp_path):
    recording(tmp_path / "elsewhere" / "album" / "far.wav", 40)
    (music / "jazz" / "linked").symlink_to(tmp_path / "elsewhere")
    (music / "jazz" / "album" / "loop").symlink_to(music / "jazz")
    (tmp_path / "elsewhere" / "again").symlink_to(tmp_path / "elsewhere" / "album")
    below = look_below(music / "jazz")
    names = [str(path.relative_to(music / "jazz")) for path in below.tracks]
    assert names == ["0.wav", "2.wav", "album/4.wav", "album/6.wav", "linked/again/far.wav"]
    assert below.bad == []


def test_pictures_of_albums_are_left_out_and_counted(music):
    before = ids(music)
    for name in ("cover.jpg", "back.png", "Folder (1).jpg", "art/scan 2.png", "band.png"):
        picture(music / "jazz" / "album" / name)
    picture(music / "rock" / "Front.jpg")
    found = scan(music)
    assert set(found.manifest["track_id"]) == before
    assert len(found.notes["pictures_of_albums_left_out"]) == 6


def test_pictures_above_and_beside_the_folders_of_discs_are_left_out(music):
    before = ids(music)
    for disc in ("CD1", "CD2"):
        recording(music / "jazz" / "artist" / "album" / disc / "1.wav", 20 + int(disc[-1]))
    pictures = ("artist/band.png", "artist/album/Artwork/p01.png", "artist/album/CD1/a/b/c.png")
    for name in pictures:
        picture(music / "jazz" / name)
    found = scan(music)
    assert len(set(found.manifest["track_id"]) - before) == 2
    left_out = found.notes["pictures_of_albums_left_out"]
    assert left_out == sorted(str(music / "jazz" / name) for name in pictures)


def test_a_cover_that_is_no_spectrogram_is_left_out_and_no_bad_file(music):
    before = ids(music)
    Image.new("RGB", (40, 40), "black").save(music / "jazz" / "album" / "cover.png")
    Image.new("P", (40, 40)).save(music / "rock" / "album" / "back.gif")
    (music / "rock" / "folder.jpg").write_bytes(b"\xff\xd8\xff and no more")
    found = scan(music)
    assert set(found.manifest["track_id"]) == before
    assert len(found.notes["pictures_of_albums_left_out"]) == 3
    (music / "rock" / "song.jpg").write_bytes(b"\xff\xd8\xff and no more")
    with pytest.raises(DataError, match=r"^1 file below[^$]*song\.jpg"):
        scan(music)


def test_pictures_of_albums_that_cannot_be_read_are_left_out_too(music):
    for number in range(3):
        place = music / "jazz" / "broken" / f"{number}.wav"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(encode(tone(2.0))[:9000])
    picture(music / "jazz" / "broken" / "band.png")
    found = scan(music, "skip")
    assert len(found.bad_files) == 3
    assert [Path(path).name for path in found.notes["pictures_of_albums_left_out"]] == ["band.png"]


def test_formats_are_told_by_content_and_counted(music):
    for number, kind in enumerate(("AIFF", "FLAC", "FLAC")):
        (music / "rock" / f"song {number}.m4a").write_bytes(encode(tone(2.0, 100 + number), kind))
    corpus = open_corpus(CorpusSettings(data=str(music)), SplitSettings())
    assert corpus.formats() == "8 WAV, 2 FLAC, 1 AIFF"
    assert "\nfiles: 8 WAV, 2 FLAC, 1 AIFF" in overview(corpus)


def test_files_that_ffmpeg_has_read_are_counted_with_its_version(music):
    for name in ("a.m4a", "b.m4a", "c.wma"):
        (music / "rock" / name).write_bytes(by_ffmpeg(tone(2.0, 200 + ord(name[0])), name))
    corpus = open_corpus(CorpusSettings(data=str(music)), SplitSettings())
    assert re.fullmatch(r"8 WAV, 2 MP4, 1 WMA, 3 of them by ffmpeg \d\S*", corpus.formats()), (
        corpus.formats()
    )


def test_spectrograms_beside_recordings_stay(music):
    picture(music / "rock" / "song-2.png")
    for seed in range(3):
        picture(music / "pop" / f"{seed}.png", seed)
        picture(music / "pop" / "more" / f"{seed}.png", 10 + seed)
    found = scan(music)
    assert {"rock/song-2", "pop/0", "pop/more/0"} <= set(found.manifest["track_id"])
    assert found.notes["pictures_of_albums_left_out"] == []
    assert found.notes["genres_of_recordings_and_of_images"] == [
        "jazz: 4 recordings, 0 images", "pop: 0 recordings, 6 images",
        "rock: 4 recordings, 1 image",
    ]  # fmt: skip


def test_music_beside_the_folders_of_genres_is_said(music):
    recording(music / "loose.wav", 50)
    (music / "README.txt").write_text("my music")
    corpus = open_corpus(CorpusSettings(data=str(music)), SplitSettings())
    text = overview(corpus)
    assert "music beside the folders of genres left out: 1\n" in text
    assert text.endswith("loose.wav")
    assert corpus.notes["genres_of_recordings_and_of_images"] == []


@pytest.mark.parametrize(
    ("one", "other", "shown"),
    [
        (
            "M\u00fasica",
            "Mu\u0301sica",
            r"'M\\xfasica' and 'Mu\\u0301sica'|'Mu\\u0301.*' and 'M\\xfa",
        ),
        ("pop", "Pop", "'Pop' and 'pop'"),
        ("pop", "pop ", "'pop' and 'pop '"),
        ("pop", "po\u200bp", r"'pop' and 'po\\u200bp'"),
        ("hip hop", "hip\u00a0hop", r"'hip hop' and 'hip\\xa0hop'"),
    ],
)
def test_genres_that_look_alike_are_refused(music, one, other, shown):
    for name in (one, other):
        shutil.copytree(music / "jazz", music / name)
    if len({path.name for path in music.iterdir()}) < 4:
        pytest.skip("this file system takes the two names for one")
    with pytest.raises(DataError, match=rf"^the genres ({shown}).* look"):
        scan(music)


def test_a_folder_of_collections_is_refused_with_the_one_to_give(tmp_path, music):
    data = tmp_path / "Data"
    shutil.copytree(music, data / "genres_original")
    shutil.copytree(music, data / "images_original")
    match = r"jazz, rock in common .* give one of them, such as .*Data/genres_original$"
    with pytest.raises(DataError, match=match):
        scan(data)
    assert len(ids(data / "genres_original")) == 8


def test_albums_of_one_name_are_no_collections(music):
    for genre in ("jazz", "rock"):
        recording(music / genre / "CD1" / "x.wav", 60 + len(genre))
        recording(music / genre / "CD2" / "x.wav", 70 + len(genre))
    assert len(ids(music)) == 12


@pytest.mark.parametrize(("name", "bare"), [
    ("blues.00000", "blues.00000"), ("blues.00000.wav", "blues.00000"), ("Mr. X", "Mr. X"),
    ("Mr. X.FLAC", "Mr. X"), (".wav", ".wav"), ("a.tar.gz", "a.tar.gz"), ("x", "x"),
])  # fmt: skip
def test_an_id_loses_a_known_ending_alone(name, bare):
    assert without_ending(name) == bare


def test_files_without_an_ending_are_tracks(music):
    for n in range(3):
        recording(music / "jazz" / f"jazz.0000{n}", 80 + n)
    recording(music / "jazz" / "Mr. X", 90)
    recording(music / "jazz" / "Mr. Y", 91)
    found = ids(music)
    assert {"jazz/jazz.00000", "jazz/jazz.00001", "jazz/Mr. X", "jazz/Mr. Y"} <= found


def test_the_name_of_a_genre_cannot_steer_a_terminal(music):
    (music / "jazz").rename(music / "ja\x1b[31mzz\u202e")
    result = CliRunner().invoke(main, ["corpus", "scan", str(music)], color=True)
    assert result.exit_code == 0, result.output
    assert "\nja\\x1b[31mzz\\u202e " in result.output
    assert not {"\x1b", "\u202e"} & set(result.output)


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_a_name_cannot_steer_a_terminal_whatever_its_encoding(music, encoding):
    for name in ("\x1b[2Jbad.txt", "bad\r", "\u65e5\u672c.txt", os.fsdecode(b"caf\xe9.txt")):
        (music / "jazz" / name).write_bytes(b"no music")
    command = [sys.executable, "-m", "genre_mlflow", "corpus", "scan", str(music)]
    env = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(command, capture_output=True, env=env)
    assert done.returncode == 2
    assert b"4 files below" in done.stderr
    assert b"\\x1b[2Jbad.txt" in done.stderr
    assert b"bad\\r: is neither" in done.stderr
    assert b"\x1b" not in done.stderr
    assert b"Traceback" not in done.stderr
    again = subprocess.run([*command, "--on-bad-file", "skip"], capture_output=True, env=env)
    assert again.returncode == 0, again.stderr
    assert b"\x1b" not in again.stdout
