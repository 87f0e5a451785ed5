"""Tables that grow row by row go on after a kill, and never mix two models."""

import csv
import json
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genre_mlflow.corpus.folders import look_below
from genre_mlflow.errors import DataError
from genre_mlflow.library.table import hold, open_table, read_done, read_rows

COLUMNS = ["path", "predicted", "model", "error"]
NAMES = [
    "plain.mp3", 'quoted "so", and more.wav', "two\nlines.flac", "Icon\r", "🎷 émoji.ogg", "a,b;c",
    "\r\n", "'", "=1+1",
]  # fmt: skip


def row(path: str, model: str = "abc") -> dict[str, str]:
    return {"path": path, "predicted": "jazz", "model": model, "error": ""}


def places(names):
    return {os.path.abspath(name) for name in names}


def done_paths(path):
    return read_done(path, COLUMNS, "abc", ["jazz"]).paths({})


def write(path, names, model="abc"):
    with open_table(path, COLUMNS) as add:
        for name in names:
            add(row(name, model))


def test_what_is_written_is_read_whatever_the_names(tmp_path):
    write(tmp_path / "t.csv", NAMES[:2])
    write(tmp_path / "t.csv", NAMES[2:])  # one head
    assert [r["path"] for r in read_rows(tmp_path / "t.csv")] == NAMES
    assert done_paths(tmp_path / "t.csv") == places(NAMES)


def test_each_row_is_on_the_disk_at_once(tmp_path):
    with open_table(tmp_path / "t.csv", COLUMNS) as add:
        for place, name in enumerate(NAMES, 1):
            add(row(name))
            assert len(list(read_rows(tmp_path / "t.csv"))) == place


@given(st.data())
def test_a_table_cut_off_anywhere_goes_on_with_its_whole_rows(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("cut") / "t.csv"
    write(path, NAMES)
    whole = path.read_bytes()
    kept = whole[: data.draw(st.integers(0, len(whole)))]
    path.write_bytes(kept)
    done = done_paths(path)
    n_whole = [name for name in NAMES if os.path.abspath(name) in done]
    assert n_whole == NAMES[: len(n_whole)]
    assert whole.startswith(path.read_bytes())
    write(path, NAMES[len(n_whole) :])
    assert path.read_bytes() == whole


def test_a_whole_table_is_not_touched(tmp_path):
    path = tmp_path / "t.csv"
    write(path, NAMES)
    before = path.stat().st_mtime_ns, path.stat().st_ino
    done_paths(path)
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before


@pytest.mark.parametrize(
    ("head", "model", "message"),
    [
        (["song", "genre"], "abc", "is a table of other columns"),
        (
            ["path", "genre", "model", "error"],  # as earlier versions wrote it
            "abc",
            r"t\.csv is a table of other columns, from another model, version or program; name",
        ),
        (COLUMNS, "xyz", "holds answers of the model xyz, this one is abc; name another --out"),
    ],
)
def test_a_table_of_something_else_is_refused_and_stays(tmp_path, head, model, message):
    path = tmp_path / "t.csv"
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(
            [head, ["x", "jazz", model, ""][: len(head)]]
        )
    before = path.read_bytes()
    with pytest.raises(DataError, match=message):
        done_paths(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "text", ["my notes", "path,", "x" * 100_000, "é\n", '"path","predicted"\n']
)
def test_a_file_of_the_users_own_is_never_cut(tmp_path, text):
    path = tmp_path / "notes.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"notes\.csv is a table of other columns"):
        done_paths(path)
    assert path.read_bytes() == text.encode("latin-1")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            b'"x","jazz"\n',
            r"cannot be read from byte \d+ on \(2 values where 4 are needed\); mend it",
        ),
        (b'"x"y,"jazz","abc",""\n', r"cannot be read from byte \d+ on \(',' expected after"),
        (b'"\xff","jazz","abc",""\n', r"cannot be read from byte \d+ on \('utf-8' codec"),
        (b'"an open quote\n', r"cannot be read from byte \d+ on \(',' expected after"),
        (b'"' + b"no end\n" * 20_000, r"cannot be read from byte \d+ on \(field larger than"),
    ],
)
def test_rows_behind_something_else_are_never_cut(tmp_path, wrong, message):
    path = tmp_path / "t.csv"
    write(path, NAMES)
    with path.open("ab") as file:
        file.write(wrong)
    write(path, [f"song {number}" for number in range(5000)])
    before = path.read_bytes()
    with pytest.raises(DataError, match=message):
        done_paths(path)
    assert path.read_bytes() == before


def test_more_than_a_kill_leaves_is_never_cut(tmp_path):
    path = tmp_path / "t.csv"
    write(path, NAMES)
    with path.open("ab") as file:
        file.write(b"\0" * 100_000)
    with pytest.raises(DataError, match=r"the last 100,000 bytes are no whole row"):
        done_paths(path)


def test_a_table_edited_with_line_ends_of_windows_goes_on(tmp_path):
    path = tmp_path / "t.csv"
    write(path, NAMES[:2])
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    write(path, NAMES[2:])
    assert done_paths(path) == places(NAMES)


def test_two_runs_do_not_write_one_table(tmp_path):
    path = tmp_path / "t.csv"
    code = (
        "import sys, time\nfrom pathlib import Path\n"
        "from genre_mlflow.library.table import hold\n"
        "with hold(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(DataError, match=r"t\.csv is being written by another run"), hold(path):
            pass
        (tmp_path / "same.csv").symlink_to(path)
        with pytest.raises(DataError, match=r"same\.csv is being"), hold(tmp_path / "same.csv"):
            pass
        other.kill()
    with hold(path):
        pass


def test_the_lock_of_a_table_in_a_library_is_no_file_of_it(tmp_path):
    with hold(tmp_path / "t.csv"):
        (tmp_path / "song.mp3").touch()
        assert look_below(tmp_path)[0] == [tmp_path / "song.mp3"]
    assert look_below(tmp_path)[0] == [tmp_path / "song.mp3"]


def test_json_is_one_list_that_appears_at_the_end(tmp_path):
    path = tmp_path / "t.json"
    with open_table(path, COLUMNS) as add:
        add(row(NAMES[4]))
        add({**row("bad"), "predicted": "", "error": "is empty"})
        assert not path.exists()
    rows = json.loads(path.read_text(encoding="utf-8"))
    assert [r["path"] for r in rows] == [NAMES[4], "bad"]
    assert (rows[1]["predicted"], rows[1]["error"]) == (None, "is empty")
    with open_table(path, COLUMNS):
        pass
    assert json.loads(path.read_text()) == []


def test_a_genre_that_the_model_does_not_know_is_named(tmp_path):
    write(tmp_path / "t.csv", NAMES[:1])
    with pytest.raises(
        DataError, match=r"has the genre 'jazz' for plain\.mp3; the model knows rock"
    ):
        read_done(tmp_path / "t.csv", COLUMNS, "abc", ["rock"])


def test_a_path_whose_file_was_moved_and_is_there_again_is_not_done(tmp_path):
    song = tmp_path / "song.mp3"
    write(tmp_path / "t.csv", [str(song)])
    done = read_done(tmp_path / "t.csv", COLUMNS, "abc", ["jazz"])
    moves = {str(song): [str(tmp_path / "jazz" / "song.mp3")]}
    assert done.paths({}) == done.paths(moves) == {str(song)}
    song.touch()  # another song
    assert done.paths(moves) == set()
    assert done.paths({}) == {str(song)}


@pytest.mark.parametrize("ending", [".csv", ".json"])
def test_a_table_of_any_name_that_is_taken_is_written_and_held(tmp_path, ending):
    path = tmp_path / ("n" * (255 - len(ending)) + ending)
    with hold(path):
        write(path, NAMES)
        if ending == ".csv":
            with pytest.raises(DataError, match="is being written by another run"), hold(path):
                pass
            with hold(path.with_stem("n" * 250 + "m")):  # of another one
                pass
    assert path.stat().st_size
    assert look_below(tmp_path).tracks == [path]
