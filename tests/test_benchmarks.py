"""Every benchmark runs, in small, and says in one line what it lacks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
SMALL = {
    "ablation": "--recipes default --seeds 1 --folds 2 --epochs 1 --image-size 64",
    "bench_audio": "--rounds 1",
    "bench_device": "--rounds 1 --epochs 1 --image-size 64",
    "bench_doubt": "--networks statistics --draws 2 --folds 2 --image-size 64",
    "bench_epoch": "--rounds 1 --image-size 64",
    "bench_library": "--sizes 4 --workers 1",
    "bench_foreign": "--items 2 --epochs 1 --image-size 64",
    "bench_gate": "--tracks 100 --draws 20",
    "bench_leaks": "--tracks 100",
    "bench_load": "--minutes 0.1 --step-s 3 --clients 2",
    "bench_loading": "--rounds 1",
    "bench_networks": "--rounds 1 --networks statistics",
    "bench_ranks": "--rounds 1 --epochs 2 --image-size 64",
    "bench_plain": "--rounds 1 --epochs 2 --image-size 64",
    "bench_refit": "--outer 5 --inner 2 --image-size 64",
    "bench_scale": "--sizes 100",
    "bench_search": "--replays 1",
    "bench_segments": "--epochs 1 --seeds 0 --image-size 64",
    "bench_serving": "--requests 4 --clients 2",
    "bench_splits": "--folds 2 --image-size 64",
    "bench_start": "--rounds 1",
    "bench_study": "--trials 3 --stores SQLite",
    "bench_tracking": "--epochs 2",
    "bench_widths": "--epochs 1 --networks 8-128",
    "campaign": "--kills 1 --signals 0 --files 30",  # signals: tests/cli/test_signals.py
}


def run(name: str, folder: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    # A store that a fixture of the session has set is not the benchmark's.
    hidden = {"MLFLOW_TRACKING_URI": "", "MLFLOW_RUN_ID": ""}
    env = {name: value for name, value in (os.environ | hidden | changes).items() if value}
    command = [sys.executable, FOLDER / f"{name}.py", *SMALL[name].split()]
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=folder)


@pytest.fixture(scope="module")
def few_tracks(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of each genre of the real images a few of each side, as links; the rest as it is."""
    folder = tmp_path_factory.mktemp("real")
    lists = {path: path.read_text().split() for path in (real_data / "splits").rglob("*.txt")}
    kept = {name for names in lists.values() for name in some_of_each_genre(names)}
    for path, names in lists.items():
        target = folder / path.relative_to(real_data)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("".join(f"{name}\n" for name in names if name in kept))
    for image in (real_data / "gtzan-mel").glob("*/*"):
        if image.stem in kept:
            target = folder / image.relative_to(real_data)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(image)
    (folder / "groups").mkdir()
    header, *rows = (real_data / "groups" / "gtzan-groups.csv").read_text().splitlines()
    rows = [header, *(row for row in rows if row.split(",")[0] in kept)]
    (folder / "groups" / "gtzan-groups.csv").write_text("\n".join(rows) + "\n")
    for name in ("gtzan-audio", "features"):
        (folder / name).symlink_to(real_data / name)
    return folder


def some_of_each_genre(names: list[str], tracks: int = 6) -> list[str]:
    """Spread over the list, in which an artist's tracks lie side by side."""
    genres = sorted({name.split(".")[0] for name in names})
    of_each = [[n for n in names if n.startswith(f"{genre}.")] for genre in genres]
    return [n for names in of_each for n in names[:: max(1, len(names) // tracks)][:tracks]]


def test_all_of_them_are_tried():
    benches = {path.stem for path in FOLDER.glob("bench_*.py")}
    assert benches | {"ablation", "campaign"} == SMALL.keys()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", SMALL)
def test_it_runs(name: str, few_tracks: Path, tmp_path: Path) -> None:
    done = run(name, tmp_path, GENRE_REAL_DATA=str(few_tracks))
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("\n") > 1


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["", "/nowhere"])
def test_without_the_real_data_it_says_so(folder: str, tmp_path: Path) -> None:
    done = run("bench_serving", tmp_path, GENRE_REAL_DATA=folder)
    assert done.returncode == 1
    assert done.stderr.startswith(f"GENRE_REAL_DATA is '{folder}'; set it to a folder with")
    assert done.stderr.count("\n") == 1
