"""Of a folder the music is predicted, and what is left out is counted; what is named, always is."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from sounds import encode, tone
from support import Trained

from genre_mlflow.cli.main import main
from genre_mlflow.errors import DataError
from genre_mlflow.library.files import find_files, in_words
from genre_mlflow.library.table import read_rows


def sound(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(tone(1.2, 440)))
    return path


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Two albums as people have them."""
    folder = tmp_path / "library"
    for album in ("One/CD1", "Two"):
        sound(folder / album / "1.wav")
        for name in ("album.cue", "rip.LOG", "info.nfo", "booklet.pdf", "list.m3u", "COPYING"):
            (folder / album / name).write_text("no music")
    picture(folder / "One" / "CD1" / "cover.jpg")
    picture(folder / "One" / "Artwork" / "p1.png")
    picture(folder / "Two" / "back.png")
    (folder / "Two" / "Thumbs.db").touch()
    (folder / ".DS_Store").touch()
    return folder


def found(*paths: Path, **more: object) -> tuple[list[str], Counter[str]]:
    """Names of what is predicted, and what was left out."""
    result = find_files(list(map(str, paths)), **more)  # type: ignore[arg-type]
    return [Path(str(getattr(f, "path", f))).name for f in result.files], result.left_out


def predict(*words: object) -> Result:
    return CliRunner().invoke(main, ["predict", *map(str, words)])


def test_what_is_no_music_is_left_out_and_counted(library):
    names, left_out = found(library)
    assert names == ["1.wav", "1.wav"]
    assert left_out == {
        "image": 3, ".cue": 2, ".log": 2, ".nfo": 2, ".pdf": 2, ".m3u": 2, "without an ending": 2,
        "litter": 2,
    }  # fmt: skip
    assert in_words(left_out) == (
        "3 images beside recordings, 2 .cue, 2 .log, 2 .m3u, 2 .nfo, 2 .pdf, 2 without an ending, "
        "2 files of other programs"
    )


def test_nothing_is_said_of_nothing():
    assert in_words(Counter()) == ""
    assert in_words(Counter({"litter": 1, "image": 1})) == (
        "1 image beside recordings, 1 file of other programs"
    )


def test_many_endings_are_summed_up():
    left_out = Counter({f".{n}": 20 - n for n in range(12)} | {"litter": 2000})
    assert in_words(left_out).startswith("20 .0, 19 .1, ")
    assert in_words(left_out).endswith(
        ", 11 .9, 19 with other endings, 2,000 files of other programs"
    )


@pytest.mark.parametrize("name", ["One/CD1/album.cue", "Two/back.png", ".DS_Store", "Two/COPYING"])
def test_what_is_named_is_predicted_whatever_it_is(library, name):
    for paths in ([library / name, library], [library, library / name]):
        names, left_out = found(*paths)
        assert sorted(names) == sorted(["1.wav", "1.wav", Path(name).name])
        assert left_out.total() == 16


def test_each_file_is_found_once(library):
    result = find_files([str(library / "Two" / "1.wav"), str(library), str(library / "One")])
    assert result.files == [library / "Two" / "1.wav", library / "One" / "CD1" / "1.wav"]
    with pytest.raises(DataError, match=r"nothing does not exist"):
        find_files([str(library / "nothing")])


def test_a_broken_file_with_the_ending_of_music_is_no_file_to_leave_out(library):
    for name in ("empty.flac", "words.mp3", "film.mp4", "book.m4b"):
        (library / "Two" / name).write_bytes(b"words" if name != "empty.flac" else b"")
    (library / "Two" / "lost.cue").symlink_to("nowhere.cue")  # nobody knows what it is
    names, left_out = found(library)
    assert {"empty.flac", "words.mp3", "film.mp4", "book.m4b", "lost.cue"} <= set(names)
    assert left_out.total() == 17


def test_music_is_known_by_its_content_too(library):
    (library / "zeros").write_bytes(bytes(100_000) + encode(tone(1.2, 440), "MP3"))
    sound(library / "x").rename(library / "blues.00000")
    sound(library / "y").rename(library / "scan.png")  # a recording
    sound(library / "...And Justice")
    names, left_out = found(library)
    assert {"blues.00000", "scan.png", "...And Justice", "zeros"} <= set(names)
    assert left_out.total() == 17


@pytest.mark.parametrize("name", ["picture.webp", "picture.gif", "cover.jpg"])
def test_pictures_that_cannot_be_read_are_covers_beside_recordings_alone(library, tmp_path, name):
    (library / "Two" / name).write_bytes(b"no picture that we know")
    assert found(library)[1]["image"] == 4
    picture(tmp_path / "images" / "a.png")
    (tmp_path / "images" / name).write_bytes(b"no picture that we know")
    assert found(tmp_path / "images")[0] == sorted(["a.png", name])


def test_a_folder_of_images_alone_is_predicted(tmp_path):
    for name in ("jazz/1.png", "jazz/cover.jpg", "2.png"):
        picture(tmp_path / "images" / name)
    (tmp_path / "images" / "words.mp3").write_bytes(b"no music, so no album")
    (tmp_path / "images" / "labels.csv").write_text("a,b")
    names, left_out = found(tmp_path / "images")
    assert names == ["2.png", "1.png", "cover.jpg", "words.mp3"]
    assert left_out == {".csv": 1}


def test_a_folder_of_images_in_a_library_is_predicted_when_it_is_given(library):
    picture(library / "spectrograms" / "1.png")
    assert found(library)[1]["image"] == 4
    for paths in ([library, library / "spectrograms"], [library / "spectrograms", library]):
        names, left_out = found(*paths)
        assert sorted(names) == ["1.png", "1.wav", "1.wav"]
        assert left_out["image"] == 3


def test_a_relative_folder_is_one_as_well(library, monkeypatch):
    monkeypatch.chdir(library / "One")
    assert found(Path())[1]["image"] == 2
    assert found(Path("..", "One", "Artwork"))[0] == ["p1.png"]


def test_what_is_passed_over_is_not_counted(library):
    without = [library / "Two", library / ".DS_Store"]
    names, left_out = found(library, without=without)
    assert names == ["1.wav"]
    assert (left_out["image"], left_out["litter"], left_out[".cue"]) == (2, 0, 1)


def test_images_stay_left_out_when_the_recordings_were_moved_or_are_gone(library):
    place = {str(path) for path in library.rglob("1.wav")}
    for path in place:
        os.unlink(path)
    assert len(found(library)[0]) == 3
    names, left_out = found(library, done=place)
    assert (names, left_out["image"]) == ([], 3)
    names, left_out = found(library, done={str(library / "song")}, moved={str(library / "song")})
    assert (names, left_out["image"]) == ([], 3)
    moved_into = library / "jazz"
    sound(moved_into / "1.wav")
    names, left_out = found(library, without=[moved_into])
    assert (names, left_out["image"]) == ([], 3)


def test_images_that_have_rows_are_neither_counted_nor_lost(library):
    back = str(library / "Two" / "back.png")
    names, left_out = found(library, done={back})
    assert "back.png" in names  # its row tells whether it was an error
    assert left_out["image"] == 2


def test_an_album_is_predicted_and_the_summary_says_what_was_not(
    trained: Trained, library: Path, tmp_path: Path
) -> None:
    out = tmp_path / "t.csv"
    for said in ("2 predicted: ", "nothing left to be predicted: 2 in the table already"):
        result = predict(library, "--out", out)
        assert result.exit_code == 0, result.output
        assert said in result.output
        assert (
            "\nleft out: 3 images beside recordings, 2 .cue, 2 .log, 2 .m3u, 2 .nfo, 2 .pdf, "
            "2 without an ending, 2 files of other programs\n"
        ) in result.output
        assert len(list(read_rows(out))) == 2
    named = predict(library / "Two" / "album.cue", "--out", out)
    assert named.exit_code == 2
    assert "album.cue  error: is neither a PNG" in named.output


def test_a_folder_without_music_is_no_error(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "one.pdf").write_bytes(b"%PDF")
    result = predict(tmp_path / "papers")
    assert result.exit_code == 0
    assert result.stderr.endswith("nothing to be predicted\nleft out: 1 .pdf\n")


def test_a_table_in_the_library_and_its_locks_are_not_counted(
    trained: Trained, library: Path
) -> None:
    words = [library / "Two", "--out", library / "Two" / "t.csv", "--move", library / "Two"]
    for _ in range(2):
        result = predict(*words)
        assert result.exit_code == 0, result.output
        assert (
            "1 image beside recordings, 1 .cue, 1 .log, 1 .m3u, 1 .nfo, 1 .pdf, " in result.output
        )
        assert ", 1 file of other programs\n" in result.output
    assert (library / "Two" / "back.png").exists()
