"""A library is predicted row by row, in order, by one process or several."""

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import psutil
import pytest
from click.testing import CliRunner, Result
from greed import Greedy
from sounds import by_ffmpeg, claiming, encode, tone
from support import Trained

from genre_mlflow.cli.main import main
from genre_mlflow.cli.predict import summary
from genre_mlflow.corpus.folders import BadFile
from genre_mlflow.errors import SettingsError
from genre_mlflow.library.files import find_files
from genre_mlflow.library.predict import Predictor, Row, open_predictor, to_line
from genre_mlflow.library.table import open_table, read_rows
from genre_mlflow.memory import MemoryShortage
from genre_mlflow.model.classifier import Classifier

MODEL = "models:/genre-classifier@champion"


@pytest.fixture
def library(trained: Trained, tmp_path: Path) -> Path:
    """Songs, images and bad files with odd names."""
    folder = tmp_path / "library"
    (folder / "album.wav").mkdir(parents=True)  # a folder that is named as a file
    images = sorted((trained.folder / "music").rglob("*.png"))
    (folder / "image.png").write_bytes(images[0].read_bytes())
    (folder / "album.wav" / "🎷 two words.mp3").write_bytes(encode(tone(2.0), "MP3"))
    (folder / "album.wav" / "long.flac").write_bytes(encode(tone(61.0), "FLAC"))
    (folder / "words.mp3").write_bytes(b"these are words")
    (folder / "empty.wav").touch()
    return folder


def predict(*words: object) -> Result:
    return CliRunner().invoke(main, ["predict", *map(str, words)])


def test_rows_come_in_order_with_segments_and_reasons(trained: Trained, library: Path) -> None:
    files = find_files([str(library / "image.png"), str(library)]).files
    with open_predictor(MODEL) as predictor:
        rows = list(predictor.predict_files(files, 1))
    assert [Path(str(r["path"])).name for r in rows] == [
        "image.png", "long.flac", "🎷 two words.mp3", "empty.wav", "words.mp3",
    ]  # fmt: skip
    assert [r["segments"] for r in rows] == [1, 2, 1, 0, 0]
    assert [bool(r["predicted"]) for r in rows] == [True, True, True, False, False]
    assert rows[3]["error"] == "is empty"
    assert str(rows[4]["error"]).startswith("is neither a PNG")
    assert {r["model"] for r in rows} == {predictor.digest}
    assert all(list(r) == predictor.columns for r in rows)


DOUBTFUL = {
    "path": "a.png", "error": "", "unsure": True, "foreign": False, "likely": ["jazz", "rock"],
    "p_blues": 0.1, "p_jazz": 0.5, "p_rock": 0.4,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "likely", "line"),
    [
        ({}, False, "a.png  jazz 0.500  unsure"),
        ({"foreign": True}, False, "a.png  jazz 0.500  unsure  foreign"),
        ({"unsure": ""}, True, "a.png  jazz 0.500  rock 0.400"),
        ({"unsure": False, "likely": ""}, True, "a.png  jazz 0.500"),
    ],
)
def test_a_line_tells_likely_genres_and_doubts(changes: Row, likely: bool, line: str) -> None:
    assert to_line(DOUBTFUL | changes, 1, 5, likely=likely) == line


def test_doubts_are_words_in_a_csv_and_truth_values_in_json(tmp_path: Path) -> None:
    for ending, value in ((".csv", "true,false"), (".json", "true")):
        with open_table(tmp_path / f"t{ending}", ["unsure", "foreign"]) as write:
            write({"unsure": True, "foreign": False})
        assert value in (tmp_path / f"t{ending}").read_text().replace('"', "")


def test_likely_genres_are_a_list_whatever_they_are_called(tmp_path: Path) -> None:
    likely = ["rock; pop", 'the "blues", live', "jazz"]
    for ending in (".csv", ".json"):
        with open_table(path := tmp_path / f"t{ending}", ["likely"]) as write:
            write({"likely": likely})
            write({"likely": ""})
    first, second = read_rows(tmp_path / "t.csv")
    assert json.loads(first["likely"]) == likely and second["likely"] == ""
    assert json.loads(path.read_text("utf-8")) == [{"likely": likely}, {"likely": None}]


def test_it_is_told_once_where_nobody_knows_which_genres_are_likely(
    trained: Trained, library: Path
) -> None:
    result = predict(library, "--likely", "--top", 1, "--model", MODEL)
    assert result.stderr.count("Nobody knows which genres are likely: too few tracks") == 1
    assert "Nobody" not in predict(library, "--model", MODEL).stderr


def bad_files() -> dict[str, tuple[bytes, str]]:
    """By name: the content of a file, and what is wrong with it, or nothing."""
    sound = tone(2.0)
    holed = sound.copy()
    holed[100] = np.nan
    video = b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(5000)
    return {
        "zero.wav": (b"", "is empty"),
        "10 ms.wav": (encode(tone(0.01)), "lasts 0.01 s; at least 1 s are needed"),
        "silence.flac": (encode(0 * sound, "FLAC"), "is silent throughout (2.0 s)"),
        "nan.wav": (encode(holed, "WAV", "FLOAT"), "holds NaN or infinite samples"),
        "infinite.wav": (encode(sound / 0, "WAV", "FLOAT"), "holds NaN or infinite samples"),
        "eight.wav": (encode(np.stack([sound] * 8, axis=1)), ""),
        "8 kHz.wav": (encode(sound, rate=8000), ""),
        "192 kHz.wav": (encode(tone(2.0, rate=192_000), rate=192_000), ""),
        "text.mp3": (b"words, no music", "is neither a PNG or JPEG image nor a recording"),
        "half.mp3": (encode(sound, "MP3")[:9000], "is truncated: "),
        "half.flac": (encode(sound, "FLAC")[:20_000], "is damaged or truncated"),
        "ten hours.wav": (claiming(encode(sound), 36_000), "is truncated: 88,244 bytes of the 1,5"),
        "ten hours.flac": (claiming(encode(sound, "FLAC"), 36_000), "lasts 36,000 s by its header"),
        "film.mp4": (video, "is damaged or truncated: it has no index (the box moov)"),
        "🎷 and spaces.ogg": (encode(sound, "OGG"), ""),
    }


@pytest.mark.filterwarnings("ignore:(divide by zero|invalid value)")  # of the test's own making
def test_each_bad_file_is_a_row_with_its_reason_and_the_others_go_on(
    trained: Trained, tmp_path: Path
) -> None:
    contents = bad_files()
    music, out = tmp_path / "music", tmp_path / "t.csv"
    (music / "folder.wav").mkdir(parents=True)
    for name, (content, _) in contents.items():
        (music / name).write_bytes(content)
    result = predict(music, "--out", out)
    assert result.exit_code == 2
    rows = {Path(row["path"]).name: row for row in read_rows(out)}
    assert rows.keys() == contents.keys()
    for name, (_, reason) in contents.items():
        assert rows[name]["error"].startswith(reason), name
        assert bool(rows[name]["predicted"]) is not bool(reason), name


def test_what_ffmpeg_reads_is_predicted_and_sorted(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    music, out = tmp_path / "music", tmp_path / "t.csv"
    music.mkdir()
    (music / "song").write_bytes(by_ffmpeg(tone(2.0), "song.m4a"))  # content counts, not a name
    (music / "song.flac").write_bytes(by_ffmpeg(tone(2.0), "song.webm"))
    result = predict(music, "--out", out, "--m3u", tmp_path / "lists", "--move", tmp_path / "by")
    assert result.exit_code == 0, result.output
    assert [row["error"] for row in read_rows(out)] == ["", ""]
    moved = [path for path in (tmp_path / "by").rglob("*") if path.is_file()]
    assert {path.name for path in moved} == {"song", "song.flac"}
    listed = "".join(path.read_text() for path in (tmp_path / "lists").iterdir())
    assert all(f"\n{path}\n" in listed for path in moved)

    monkeypatch.setenv("PATH", str(tmp_path))
    result = predict(*moved)
    assert result.exit_code == 2
    for name in ("M4A, MP4 or MOV", "WebM or Matroska"):
        assert f"error: is {name}, which is read only where the program ffmpeg is" in result.output


def test_rows_stream(trained: Trained, library: Path) -> None:
    files = find_files([str(library / "image.png"), str(library / "words.mp3")]).files
    with open_predictor(MODEL) as predictor:
        rows = predictor.predict_files(files, 1)
        assert next(rows)["predicted"]
        (library / "words.mp3").unlink()  # nobody has read it yet
        assert next(rows)["error"] == "cannot be read: No such file or directory"


def test_the_classifier_is_loaded_once_and_only_its_folder_travels(
    trained: Trained, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[Path] = []
    load = Classifier.load
    monkeypatch.setattr(Classifier, "load", lambda folder: loaded.append(folder) or load(folder))
    with open_predictor(MODEL) as predictor:
        here = [predictor.predict_file(library / "image.png") for _ in range(2)]
        assert list(predictor.predict_files([library / "image.png"])) == here[:1]
        assert loaded == [predictor.folder]
        sent = pickle.dumps(predictor)
        assert len(sent) < 1000
        other: Predictor = pickle.loads(sent)
        assert (other.columns, other.digest) == (predictor.columns, load(predictor.folder).digest)
        assert len(loaded) == 1
        there = [other.predict_file(library / "image.png") for _ in range(2)]
        assert (there, len(loaded)) == (here, 2)


def test_too_many_workers_are_refused(trained: Trained) -> None:
    with (
        open_predictor(MODEL) as predictor,
        pytest.raises(SettingsError, match=r"workers is 1000; allowed are 0 \(by itself\) to 256"),
    ):
        predictor.predict_files([], 1000)


def test_a_table_goes_on_where_it_was(trained: Trained, library: Path, tmp_path: Path) -> None:
    out = tmp_path / "library.csv"
    first = predict(library / "album.wav", "--out", out)
    assert first.exit_code == 0, first.output
    assert "2 predicted" in first.output
    words = [library, library / "image.png"]
    second = predict(*words, "--out", out, "--m3u", tmp_path / "lists", "--link", tmp_path / "by")
    assert second.exit_code == 2  # two bad files
    assert "3 predicted" in second.output
    assert "2 in the table already" in second.output
    rows = list(read_rows(out))
    assert [Path(r["path"]).name for r in rows[:2]] == ["long.flac", "🎷 two words.mp3"]
    assert len(rows) == 5
    links = [path for path in (tmp_path / "by").rglob("*") if path.is_symlink()]
    assert {path.resolve() for path in links} == {
        Path(r["path"]).resolve() for r in rows if r["predicted"] and not r["path"].endswith(".png")
    }  # the image stays where it is
    assert len(list((tmp_path / "lists").iterdir())) == 3
    third = predict(library, "--out", out)
    assert (third.exit_code, len(list(read_rows(out)))) == (2, 5)  # the bad files still are
    assert "nothing left to be predicted: 5 in the table already" in third.output


def test_quiet_prints_the_errors_alone(trained: Trained, library: Path) -> None:
    output = predict(library, "--quiet").output
    assert "words.mp3" in output
    assert "long.flac" not in output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--link", "a", "--move", "b", "--out", "t.csv"], "--link and --move are both given"),
        (["--m3u", "lists"], "--m3u, --link and --move are made from the table; add --out"),
        (["--move", "x", "--out", "t.json"], "add --out FILE that ends in .csv"),
        (["--m3u", __file__, "--out", "t.csv"], "test_predict.py', which is no folder"),
        (["--move", __file__, "--out", "t.csv"], "test_predict.py', which is no folder"),
        (
            ["--workers", "-1", "--model", "nothing"],
            "-1 is not in the range 0<=x<=256",
        ),
    ],
)
def test_mistakes_are_one_line(trained: Trained, library: Path, words: list[str], message: str):
    result = predict(library, *words)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output


def test_moving_a_library_into_itself_sorts_what_is_new(
    trained: Trained, library: Path, tmp_path: Path
) -> None:
    words = [library, "--out", library / "t.csv", "--move", library, "--m3u", library, "--quiet"]
    (library / "words.mp3").unlink()
    (library / "empty.wav").unlink()
    cover = (library / "image.png").rename(library / "album.wav" / "cover.png")
    songs = sorted(p.read_bytes() for p in library.rglob("*.*") if p.is_file() and p != cover)
    first = predict(*words)
    assert first.exit_code == 0, first.output
    assert "\nleft out: 1 image beside recordings\n" in first.output
    assert {path.name for path in library.iterdir() if path.is_dir()} <= {
        "blues", "jazz", "rock", "album.wav"
    }  # fmt: skip
    moved = [path for path in library.glob("*/*.*") if path != cover]
    assert sorted(path.read_bytes() for path in moved) == songs
    listed = "".join(path.read_text(encoding="utf-8") for path in library.glob("*.m3u8"))
    assert {line for line in listed.splitlines() if line[0] != "#"} == set(map(str, moved))
    again = predict(*words)
    assert again.exit_code == 0, again.output
    assert "nothing left to be predicted: 2 in the table already" in again.output
    assert "\nleft out: 1 image beside recordings\n" in again.output  # the recordings lay there
    (library / "new.wav").write_bytes(encode(tone(2.0)))
    (library / "album.wav").mkdir(exist_ok=True)
    (library / "album.wav" / "long.flac").write_bytes(encode(tone(3.0), "FLAC"))  # another song
    third = predict(*words)
    assert third.exit_code == 0, third.output
    assert "2 predicted" in third.output
    assert len(list(library.glob("*/*.*"))) == 5
    listed = "".join(path.read_text(encoding="utf-8") for path in library.glob("*.m3u8"))
    assert len([line for line in listed.splitlines() if line[0] != "#"]) == 4


def test_files_that_an_earlier_run_has_moved_away_are_no_mistake(
    trained: Trained, library: Path, tmp_path: Path
) -> None:
    (library / "one.wav").write_bytes(encode(tone(2.0)))
    words = [library / "one.wav", library / "album.wav", "--out", tmp_path / "t.csv"]
    assert predict(*words, "--move", tmp_path / "sorted").exit_code == 0
    again = predict(*words, "--move", tmp_path / "sorted", "--m3u", tmp_path / "lists")
    assert again.exit_code == 0, again.output
    assert "nothing left to be predicted: 3 in the table already" in again.output
    assert "3 songs in the playlists" in again.output
    assert predict(tmp_path / "other.mp3", *words).exit_code == 2


def test_a_table_goes_on_from_another_folder(
    trained: Trained, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "model"
    with open_predictor(MODEL) as predictor:
        shutil.copytree(predictor.folder, model)
    words = ["--out", tmp_path / "t.csv", "--model", model]
    monkeypatch.chdir(library)
    first = predict("album.wav", *words)
    assert first.output.startswith("album.wav/long.flac  ")
    monkeypatch.chdir(library / "album.wav")
    again = predict(".", *words, "--link", tmp_path / "by")
    assert "nothing left to be predicted: 2 in the table already" in again.output
    assert len(list((tmp_path / "by").glob("*/*"))) == 2


def test_names_cannot_steer_the_terminal(trained: Trained, library: Path) -> None:
    name = "\x1b[2J :smile: two\nlines.wav"
    (library / "album.wav" / name).write_bytes(encode(tone(2.0)))
    (library / os.fsdecode(b"\xff.wav")).write_bytes(encode(tone(2.0)))
    output = predict(library).output
    assert "\\x1b[2J :smile: two\\nlines.wav" in output
    assert "\\xff.wav" in output
    assert "\x1b" not in output


def test_a_lack_of_memory_for_the_network_ends_it_and_is_no_row(
    trained: Trained, library: Path
) -> None:
    with open_predictor(MODEL) as predictor:
        predictor.classifier.answering = Greedy()
        with pytest.raises(MemoryShortage, match=r"^out of memory on cpu "):
            next(predictor.predict_files([library / "image.png"]))


class GreedyPredictor(Predictor):
    """Its network lacks memory in whatever process it predicts."""

    def predict_file(self, file: Path | BadFile) -> Row:
        self.classifier.answering = Greedy()
        return super().predict_file(file)


@pytest.mark.slow
def test_a_lack_of_memory_in_a_worker_is_one_line_that_says_how_to_go_on(
    trained: Trained, library: Path
) -> None:
    with open_predictor(MODEL) as predictor:
        greedy = GreedyPredictor(predictor.folder)
        message = r"^out of memory on cpu .*; try fewer --workers; .* goes on where this one was$"
        with pytest.raises(MemoryShortage, match=message):
            list(greedy.predict_files([library / "image.png"], workers=2))


def test_names_of_genres_and_of_files_that_stay_cannot_steer_it_either(
    trained: Trained, library: Path, tmp_path: Path
) -> None:
    assert summary(Counter({"a\x1b[2J\n": 2}), 0, "").endswith("\n2 predicted: 2 a\\x1b[2J\\n")
    link = library / "two\n\x1b[2J.wav"
    link.symlink_to(library / "album.wav" / "long.flac")
    result = predict(link, "--out", tmp_path / "t.csv", "--move", tmp_path / "sorted")
    assert result.exit_code == 2
    assert "/two\\n\\x1b[2J.wav  error: moving failed: it is a link" in result.output
    assert "\x1b" not in result.output


@pytest.mark.slow
def test_two_processes_give_the_rows_of_one(trained: Trained, library: Path) -> None:
    files = find_files([str(library)]).files * 4
    with open_predictor(MODEL) as predictor:
        alone = list(predictor.predict_files(files, 1))
        together = list(predictor.predict_files(files, 2))
    assert together == alone


def workers_of(pid: int) -> list[psutil.Process]:
    children = psutil.Process(pid).children()
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


@pytest.mark.slow
def test_a_killed_run_goes_on_and_a_killed_worker_is_one_line(
    trained: Trained, tmp_path: Path
) -> None:
    music, out = tmp_path / "music", tmp_path / "library.csv"
    music.mkdir()
    for number in range(150):
        (music / f"{number:03d}.wav").write_bytes(encode(tone(20.0, 200 + number)))
    command = [sys.executable, "-m", "genre_mlflow", "predict", str(music), "--out", str(out)]

    def start(*words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*command, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip

    def wait_for_rows(n: int) -> None:
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            if out.exists() and out.read_bytes().count(b"\n") > n:
                return
            time.sleep(0.01)
        pytest.fail("no rows")

    with start("--workers", "2") as process:
        wait_for_rows(5)
        workers = workers_of(process.pid)
        process.kill()
    gone, alive = psutil.wait_procs(workers, timeout=30)
    assert (len(gone), alive) == (2, [])
    with start("--workers", "2") as process:
        wait_for_rows(30)
        workers_of(process.pid)[0].kill()
        _, err = process.communicate(timeout=120)
    assert process.returncode == 2, err
    assert err.startswith("Error: a process that predicts was killed (is there too little memory?)")
    assert re.search(rf" at or behind {music}/\d\d\d\.wav; try fewer --workers; ", err)
    assert err.count("\n") == 1
    n_before = len(list(read_rows(out)))
    assert 30 <= n_before < 150
    with start("--workers", "1") as process:
        said, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert f"{150 - n_before} predicted" in said
    names = [Path(row["path"]).name for row in read_rows(out)]
    assert sorted(names) == [f"{number:03d}.wav" for number in range(150)]
