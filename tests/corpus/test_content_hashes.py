"""A file is decoded once for its content, and whatever happens to the memo changes no manifest."""

import json
import shutil
import subprocess
import sys

import pandas as pd
import pytest
from sounds import by_ffmpeg, program, tone

from genre_mlflow.corpus import content_hashes
from genre_mlflow.corpus import scan as scanning
from genre_mlflow.corpus.content_hashes import memo_file, recall, remember
from genre_mlflow.corpus.scan import scan
from genre_mlflow.errors import DataError


@pytest.fixture
def corpus(tmp_path, make_corpus):
    return make_corpus(tmp_path / "music", tracks=3)


@pytest.fixture
def decoded(monkeypatch):
    """Sizes of the files that are decoded from now on."""
    sizes, content_of = [], scanning.content_of

    def watched(data):
        sizes.append(len(data))
        return content_of(data)

    monkeypatch.setattr(scanning, "content_of", watched)
    return sizes


def test_a_second_scan_decodes_nothing_and_says_the_same(corpus, decoded):
    first = scan(corpus).manifest
    assert len(decoded) == 9
    pd.testing.assert_frame_equal(scan(corpus).manifest, first)
    assert len(decoded) == 9


def test_only_what_is_new_is_decoded(corpus, decoded):
    scan(corpus)
    decoded.clear()
    whole = (corpus / "blues" / "blues.00000.png").read_bytes()
    (corpus / "jazz" / "jazz.00000.png").write_bytes(whole[: len(whole) // 2])
    for _ in range(2):  # a bad file is not remembered
        bad = scan(corpus, "skip").bad_files
        assert [file.path.name for file in bad] == ["jazz.00000.png"]
    assert decoded == [len(whole) // 2] * 2


def test_good_files_are_remembered_though_bad_ones_end_the_scan(corpus, decoded):
    (corpus / "jazz" / "bad.png").write_bytes(b"x")
    with pytest.raises(DataError):
        scan(corpus)
    decoded.clear()
    scan(corpus, "skip")
    assert decoded == [1]


def test_what_ffmpeg_has_decoded_is_known_to_that_version_alone(
    corpus, tmp_path, decoded, monkeypatch
):
    (corpus / "jazz" / "song.m4a").write_bytes(by_ffmpeg(tone(2.0), "song.m4a"))
    size = (corpus / "jazz" / "song.m4a").stat().st_size
    scan(corpus)
    decoded.clear()
    assert len(scan(corpus).manifest) == 10
    assert decoded == []
    here = shutil.which("ffmpeg")
    program(tmp_path, f'[ $1 = -version ] && echo ffmpeg version 99 && exit; exec {here} "$@"')
    monkeypatch.setenv("PATH", str(tmp_path))
    assert len(scan(corpus).manifest) == 10
    assert decoded == [size]
    monkeypatch.setenv("PATH", str(tmp_path / "music"))
    (bad,) = scan(corpus, "skip").bad_files
    assert (bad.path.name, bad.is_recording) == ("song.m4a", True)
    assert bad.reason.startswith("is M4A, MP4 or MOV, which is read only where the program ffmpeg")
    assert decoded == [size] * 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\xff",
        b"[]",
        b"7",
        b"{}",
        b'{"version"',
        json.dumps({"version": content_hashes.VERSION, "contents": 7}).encode(),
        json.dumps({"version": "0", "contents": {"a": "b"}}).encode(),
    ],
)
def test_a_memo_that_is_damaged_or_of_another_version_is_made_anew(corpus, decoded, content):
    first = scan(corpus).manifest
    whole = memo_file().read_bytes()
    memo_file().write_bytes(content)
    pd.testing.assert_frame_equal(scan(corpus).manifest, first)
    assert len(decoded) == 18
    assert memo_file().read_bytes() == whole


def test_a_memo_that_cannot_be_written_is_done_without(corpus, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("GENRE_HOME", str(tmp_path / "file"))
    assert len(scan(corpus).manifest) == 9


def test_nothing_is_written_when_nothing_is_new(corpus):
    scan(corpus)
    before = memo_file().stat().st_mtime_ns
    scan(corpus)
    assert memo_file().stat().st_mtime_ns == before


@pytest.mark.slow
def test_processes_that_remember_at_once_leave_a_whole_memo():
    remember({"old": "pixels"})
    code = (
        "import sys; from genre_mlflow.corpus.content_hashes import remember\n"
        "for i in range(30): remember({f'{sys.argv[1]}-{i}': 'pixels'})\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(n)]) for n in range(3)]
    while any(writer.poll() is None for writer in writers):
        assert recall()["old"] == "pixels"
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert list(memo_file().parent.iterdir()) == [memo_file()]
