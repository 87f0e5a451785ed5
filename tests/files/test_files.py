"""A file is whole or absent, whatever happens while it is written."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from genre_mlflow.files.atomic import atomic_write
from genre_mlflow.files.home import folder_bytes, home
from genre_mlflow.files.names import cut, file_name, file_names, hidden_name, n_bytes, too_long


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_whole_file_replaces_the_old_one(tmp_path):
    path = tmp_path / "deep" / "file.bin"
    for content in (b"old", b"new and longer"):
        with atomic_write(path) as file:
            file.write(content)
        assert path.read_bytes() == content
    assert names(path.parent) == ["file.bin"]


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt])
def test_an_error_midway_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    with pytest.raises(error), atomic_write(path) as file:
        file.write(b"half of the n")
        raise error
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file.bin"]


def test_an_error_midway_leaves_no_file_where_none_was(tmp_path):
    with pytest.raises(ValueError, match="x"), atomic_write(tmp_path / "file.bin") as file:
        file.write(b"half")
        raise ValueError("x")
    assert names(tmp_path) == []


def test_a_reader_sees_the_old_file_until_the_end(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
        assert [name for name in names(tmp_path) if name.endswith(".partial")]


def test_two_writers_do_not_meet(tmp_path):
    path = tmp_path / "file.bin"
    with atomic_write(path) as first, atomic_write(path) as second:
        first.write(b"first")
        second.write(b"second")
    assert path.read_bytes() == b"first"  # its block ended last
    assert names(tmp_path) == ["file.bin"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_files_have_the_rights_that_the_umask_leaves(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        with atomic_write(tmp_path / "file.bin") as file:
            file.write(b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "file.bin").stat().st_mode & 0o777 == mode


def test_a_killed_process_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from genre_mlflow.files.atomic import atomic_write\n"
        "with atomic_write(Path(sys.argv[1])) as file:\n"
        "    file.write(b'x' * 100_000); file.flush(); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, path]).returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"


def test_home_is_the_variable_or_a_folder_in_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GENRE_HOME", "elsewhere")
    assert home() == tmp_path / "elsewhere"
    monkeypatch.setenv("GENRE_HOME", "")
    assert home() == tmp_path / ".genre"
    monkeypatch.delenv("GENRE_HOME")
    assert home() == tmp_path / ".genre"
    assert not home().exists()


def test_folder_bytes_counts_files_at_any_depth(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "one").write_bytes(b"12345")
    (tmp_path / "a" / "b" / ".two").write_bytes(b"123")
    assert folder_bytes(tmp_path) == 8
    assert folder_bytes(tmp_path / "absent") == 0


@pytest.mark.parametrize(
    ("word", "name"),
    [("jazz", "jazz"), ("a/b", "a%2Fb"), ("..", "%2E%2E"), ("con", "%63on"), ("x.", "x%2E"),
     ("two\nlines", "two%0Alines"), ("100%", "100%25"), ("R&B", "R&B"), ("éé", "éé")],
)  # fmt: skip
def test_any_word_is_a_file_name(word, name):
    assert file_name(word) == name


def test_words_that_some_system_takes_for_one_name_have_two(tmp_path):
    words = ["Rock", "rock", "rock (2)", "e\u0301", "é", "ß" * 300, "ß" * 301]
    made = file_names(words)
    assert list(made) == words
    assert len({name.casefold() for name in made.values()}) == len(words)
    for name in made.values():
        (tmp_path / f"{name}.m3u8").touch()


LONGEST = 255  # bytes of a name on the file systems that tests run on
LETTERS = ["n", "\u00e9", "\u65e5", "\U0001f3b7"]  # of one to four bytes


def longest(letter: str, length: int = LONGEST) -> str:
    """A name of so many bytes."""
    n_letters = length // len(letter.encode())
    return (letter * n_letters).rjust(n_letters + length % len(letter.encode()), "x")


@pytest.mark.parametrize("letter", LETTERS)
def test_a_file_of_any_name_that_is_taken_can_be_written(tmp_path, letter):
    path = tmp_path / longest(letter)
    assert n_bytes(path.name) == LONGEST
    with atomic_write(path) as file:
        file.write(b"whole")
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize("letter", LETTERS)
def test_a_hidden_name_is_short_tells_long_names_apart_and_is_the_same_each_time(letter):
    long = [longest(letter), longest(letter, 254) + "y", longest(letter, 200)]
    made = [hidden_name(name, ".lock") for name in long]
    assert len(set(made)) == 3
    assert made == [hidden_name(name, ".lock") for name in long]
    assert all(name[:10] == f".{one[:9]}" for name, one in zip(made, long, strict=True))
    assert all(n_bytes(hidden_name(name, "." + 32 * "0" + ".partial")) <= 143 for name in long)
    assert hidden_name("library.csv", ".lock") == ".library.csv.lock"


def test_a_name_that_is_no_utf8_has_a_hidden_one(tmp_path):
    name = os.fsdecode(b"\xff" * 200)
    (tmp_path / hidden_name(name, ".lock")).touch()
    assert hidden_name(name, ".lock") != hidden_name(name[1:], ".lock")


@pytest.mark.parametrize("letter", LETTERS)
def test_what_is_too_long_is_told_by_bytes_also_below_a_folder_that_is_not_there(tmp_path, letter):
    fits, beyond = longest(letter), longest(letter, LONGEST + 1)
    for folder in (tmp_path, tmp_path / "new" / fits):
        assert too_long(folder / fits) == ""
        assert too_long(folder / beyond) == "a name of 256 bytes"
    assert too_long(tmp_path / beyond / "x") == "a name of 256 bytes"
    assert not list(tmp_path.iterdir())


def test_a_path_that_is_too_long_is_told(tmp_path):
    path = tmp_path.joinpath(*["n" * 200] * 30)
    assert too_long(path) == f"a path of {len(str(path)):,} bytes"


@pytest.mark.parametrize(
    ("length", "kept"), [(0, ""), (-1, ""), (5, "a\u65e5"), (99, "a\u65e5\u672c")]
)
def test_a_name_is_cut_between_letters(length, kept):
    assert cut("a\u65e5\u672c", length) == kept


def test_a_long_word_that_is_cut_ends_in_no_dot():
    assert file_name("x" * 199 + ".mp3") == "x" * 199
