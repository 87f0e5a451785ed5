"""The real client against a server on this machine, each time in a process of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from gtzan_hub import TRACKS, serving, sha256_of, small_collection, sound_of, tarball

from genre_mlflow.corpus.gtzan.collection import gtzan
from genre_mlflow.corpus.gtzan.layout import prepare
from genre_mlflow.errors import DataError

PROGRAM = """
import sys
from pathlib import Path
from genre_mlflow.errors import GenreError
try:
    {}
except GenreError as error:
    sys.exit(f"Error: {{error}}")
"""
ARCHIVE = "out/download/genres.tar.gz"
CHUNK = 10 * 1024 * 1024  # the client writes so much at a time
WHOLE = [(f"genres/{t[:-6]}/{t}.wav", sound_of(t)) for t in TRACKS]


def fetch(archive: bytes, folder: Path, address: str) -> subprocess.CompletedProcess[str]:
    """Download what is to be this archive."""
    program = (
        "from genre_mlflow.corpus.gtzan.download import download; "
        f"print(download(Path('out/download'), {sha256_of(archive)!r}))"
    )
    return run(program, folder, address)


def run(program: str, folder: Path, address: str) -> subprocess.CompletedProcess[str]:
    here = Path(__file__).parents[1]
    environment = {
        **os.environ,
        "HF_ENDPOINT": address,
        "HF_HOME": str(folder / "hf"),
        "PYTHONPATH": os.pathsep.join([str(here), str(here.parent)]),
    }
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(program)],
        capture_output=True, text=True, cwd=folder, env=environment,
    )  # fmt: skip


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.slow
def test_download_that_breaks_off_goes_on_where_it_was(tmp_path):
    archive = tarball([("genres/README", os.urandom(2 * CHUNK)), *WHOLE])
    with serving(archive, cut_at=CHUNK + 1000) as hub:
        done = fetch(archive, tmp_path, hub.address)
        assert done.returncode == 1
        message = (
            "Error: the download of data/genres.tar.gz from the dataset marsyas/gtzan failed: "
        )
        assert last_line(done).startswith(message)
        assert "give the same command again to go on from there" in last_line(done)
        assert not (tmp_path / ARCHIVE).exists()
        hub.requests.clear()
        done = fetch(archive, tmp_path, hub.address)
        assert done.returncode == 0, done.stderr
        assert hub.requests == [("HEAD", ""), ("GET", f"bytes={CHUNK}-")]
    assert (tmp_path / ARCHIVE).read_bytes() == archive
    assert len(os.listdir(tmp_path / "out/download")) == 1


def test_what_is_too_long_to_be_a_part_is_fetched_anew(tmp_path):
    archive = tarball(WHOLE)
    with serving(archive) as hub:
        partial = tmp_path / f"{ARCHIVE}.partial"
        partial.parent.mkdir(parents=True)
        partial.write_bytes(archive + b"more")
        assert fetch(archive, tmp_path, hub.address).returncode == 0
    assert (tmp_path / ARCHIVE).read_bytes() == archive


@pytest.mark.slow
def test_downloaded_collection_is_checked_and_not_fetched_again(tmp_path):
    with serving(tarball(WHOLE)) as hub:
        done = run(
            "from gtzan_hub import small_collection; "
            "from genre_mlflow.corpus.gtzan.layout import prepare, summary; "
            f"collection = small_collection({hub.sha256!r}); "
            "print(summary(prepare(Path('out'), collection, fetch=True)))",
            tmp_path, hub.address,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "12 tracks of 3 genres in out/genres, 12 of them new" in done.stdout
        assert sorted(os.listdir(tmp_path / "out")) == ["genres", "manifest.csv", "split"]
        hub.requests.clear()
        assert prepare(tmp_path / "out", small_collection(hub.sha256), fetch=True).n_new == 0
        assert hub.requests == []


def test_track_with_a_wrong_checksum_in_the_download_is_named(tmp_path):
    files = [*WHOLE[:-1], ("genres/rock/rock.00003.wav", sound_of("rock.00002"))]
    (tmp_path / ARCHIVE).parent.mkdir(parents=True)
    (tmp_path / ARCHIVE).write_bytes(tarball(files))
    message = (
        r"1 of the 12 tracks cannot be used, 1 with a wrong checksum: rock\.00003 .*"
        r"Remove .*out/download to fetch all anew, or go on without them with --on-bad-file skip"
    )
    with pytest.raises(DataError, match=message):
        prepare(tmp_path / "out", small_collection(), fetch=True)
    assert not (tmp_path / "out/genres/rock/rock.00003.wav").exists()


@pytest.mark.slow
def test_another_archive_is_refused_whatever_the_server_says_of_it(tmp_path):
    with serving(tarball(WHOLE[:-1])) as hub:  # its ETag is the sum of what it sends
        done = run(
            "from gtzan_hub import small_collection; "
            "from genre_mlflow.corpus.gtzan.layout import prepare; "
            f"prepare(Path('out'), small_collection({'0' * 64!r}), fetch=True)",
            tmp_path, hub.address,
        )  # fmt: skip
    assert done.returncode == 1
    message = (
        "Error: the download of data/genres.tar.gz from the dataset marsyas/gtzan has the SHA-256 "
        f"{hub.sha256}, not {'0' * 64} as the archive is known to have; it is removed, and nothing "
    )
    assert last_line(done).startswith(message)
    assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path / "out") == ["download"]
    assert os.listdir(tmp_path / "out/download") == []


def test_the_right_archive_is_taken_whatever_the_server_says_of_it(tmp_path):
    archive = tarball(WHOLE)
    with serving(archive) as hub:
        hub.sha256 = "0" * 64
        assert fetch(archive, tmp_path, hub.address).returncode == 0
    assert (tmp_path / ARCHIVE).read_bytes() == archive


def test_the_archive_of_the_collection_is_pinned():
    assert re.fullmatch("[0-9a-f]{64}", gtzan().archive_sha256)


def test_what_is_not_there_is_one_error(tmp_path):
    with serving(b"") as hub:
        done = fetch(b"", tmp_path, f"{hub.address}/elsewhere")
    assert done.returncode == 1
    assert re.search("failed: .*404 Not Found", done.stderr)


def test_a_server_that_is_not_there_is_one_error(tmp_path):
    with serving(b"") as hub:
        address = hub.address
    done = fetch(b"", tmp_path, address)
    assert done.returncode == 1
    assert re.search(r"failed: .*[Rr]efused; give the same command again", last_line(done))
