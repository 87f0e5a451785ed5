"""The real client against a server on this machine, each time in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

from gtzan_hub import TRACKS, serving, sound_of, tarball

PROGRAM = """
import sys
from pathlib import Path
from genre_mlflow.errors import GenreError
try:
    {}
except GenreError as error:
    sys.exit(f"Error: {{error}}")
"""
FETCH = "from genre_mlflow.corpus.gtzan_download import download; print(download(Path('got')))"
PREPARE = (
    "from gtzan_hub import small_collection; from genre_mlflow.corpus.gtzan import prepare, "
    "summary; print(summary(prepare(Path('out'), small_collection(), fetch=True)))"
)
CHUNK = 10 * 1024 * 1024  # the client writes so much at a time
WHOLE = [(f"genres/{t[:-6]}/{t}.wav", sound_of(t)) for t in TRACKS]


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


def test_download_that_breaks_off_goes_on_where_it_was(tmp_path):
    archive = tarball([("genres/README", os.urandom(2 * CHUNK)), *WHOLE])
    with serving(archive, cut_at=CHUNK + 1000) as hub:
        done = run(FETCH, tmp_path, hub.address)
        assert done.returncode == 1
        message = (
            "Error: the download of data/genres.tar.gz from the dataset marsyas/gtzan failed: "
        )
        assert last_line(done).startswith(message)
        assert "run the same command again to go on from there" in last_line(done)
        assert not (tmp_path / "got/data/genres.tar.gz").exists()
        hub.requests.clear()
        done = run(FETCH, tmp_path, hub.address)
        assert done.returncode == 0, done.stderr
        assert hub.requests == [("HEAD", ""), ("GET", f"bytes={CHUNK}-")]
    assert (tmp_path / "got/data/genres.tar.gz").read_bytes() == archive


def test_downloaded_collection_is_checked_and_not_fetched_again(tmp_path):
    with serving(tarball(WHOLE)) as hub:
        done = run(PREPARE, tmp_path, hub.address)
        assert done.returncode == 0, done.stderr
        assert "12 tracks of 3 genres in out/genres, 12 of them new" in done.stdout
        assert sorted(os.listdir(tmp_path / "out")) == ["genres", "manifest.csv", "split"]
        hub.requests.clear()
        assert run(PREPARE, tmp_path, hub.address).returncode == 0
        assert hub.requests == []


def test_wrong_checksum_in_the_download_is_named(tmp_path):
    files = [*WHOLE[:-1], ("genres/rock/rock.00003.wav", sound_of("rock.00002"))]
    with serving(tarball(files)) as hub:
        done = run(PREPARE, tmp_path, hub.address)
    assert done.returncode == 1
    assert "1 of the 12 tracks cannot be used, 1 with a wrong checksum: rock.0000" in done.stderr
    assert "Remove out/download to fetch all anew, or go on without them" in last_line(done)
    assert not (tmp_path / "out/genres/rock/rock.00003.wav").exists()


def test_what_is_not_there_is_one_error(tmp_path):
    with serving(b"") as hub:
        done = run(FETCH, tmp_path, f"{hub.address}/elsewhere")
    assert done.returncode == 1
    assert "failed: 404 " in last_line(done)
