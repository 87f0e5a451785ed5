"""Two processes train one network as one process does, and end well whichever is killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient
from support import EXPERIMENT, SMALL, runs_in, small_options, store_in

from genre_mlflow.jobs.train import train
from genre_mlflow.options import TrainOptions
from genre_mlflow.processes import cores
from genre_mlflow.settings import as_text

RANKED = Path(__file__).parents[1] / "ranked.py"
# All that a network has and an epoch draws; of 57 tracks the last batch has one.
WHAT_IT_KEEPS = {
    "ensemble": 2, "mixup": 0.3, "ema_decay": 0.9, "crop": 0.5, "statistics_share": 0.67,
    "stem": "textures", "widths": (4, 4), "time_mask": 0.1, "refit": True, "distil": True,
    "batch_size": 8,
}  # fmt: skip
FIGURES = ("train_loss", "val_loss", "val_accuracy", "test_accuracy", "lr")
SECOND_EPOCH = 10  # steps, of 8 in an epoch

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(cores() < 2, reason="needs two cores"),
]


@dataclass(frozen=True)
class Place:
    """A store with a run that one process has trained, and the corpus."""

    client: MlflowClient
    reference: str
    data: Path

    def options(self) -> TrainOptions:
        return small_options(self.data, **WHAT_IT_KEEPS)

    def torchrun(self, *words: str, hit: str = "none x 1 0") -> subprocess.CompletedProcess[str]:
        """`train` in two processes; they and `torchrun` end within two minutes."""
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        options = {**SMALL, **WHAT_IT_KEEPS, "data": self.data}
        many = [f"--{name.replace('_', '-')}={as_text(v)}" for name, v in options.items()]
        return subprocess.run(
            [*command, "--nproc-per-node=2", str(RANKED), "train", *(words or many)],
            capture_output=True, text=True, env={**os.environ, "HIT": hit}, timeout=180,
        )  # fmt: skip

    def newest(self) -> str:
        return str(runs_in(self.client, "genre-mlflow")[-1].info.run_id)

    def figures(self, run_id: str) -> dict[str, list[tuple[int, float]]]:
        found = {name: self.client.get_metric_history(run_id, name) for name in FIGURES}
        return {name: [(m.step, m.value) for m in many] for name, many in found.items()}

    def assert_like_the_reference(self, run_id: str) -> None:
        ours, theirs = self.figures(run_id), self.figures(self.reference)
        for name in FIGURES:
            assert [step for step, _ in ours[name]] == [step for step, _ in theirs[name]]
            values = [value for _, value in theirs[name]]
            assert [value for _, value in ours[name]] == pytest.approx(values, abs=1e-4), name
        assert self.client.get_run(run_id).info.status == "FINISHED"


@pytest.fixture(scope="module")
def place(
    tmp_path_factory: pytest.TempPathFactory, make_corpus: Callable[..., Path]
) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("together")
    data = make_corpus(folder / "music", tracks=23)
    with store_in(folder) as client:
        options = small_options(data, **WHAT_IT_KEEPS)
        run_id = train(options, experiment=EXPERIMENT).run_id
        yield Place(client, run_id, data)


@pytest.fixture(autouse=True)
def home_of_all(home_of_its_own: None, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENRE_HOME", str(place.data.parent / ".genre"))


def test_a_run_whose_second_process_is_killed_is_gone_on_with_by_one(place: Place) -> None:
    steps = f"1 genre_mlflow.training.loop:Loop.step {SECOND_EPOCH} {signal.SIGKILL:d}"
    done = place.torchrun(hit=steps)
    assert done.returncode == 1
    ours = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(ours) == 1
    assert ours[0].startswith("Error: one of the 2 processes is gone, or has not answered for 10 ")
    run_id = place.newest()
    assert f"train --resume {run_id}" in done.stdout
    assert place.client.get_run(run_id).info.status == "FAILED"
    train(place.options(), experiment=EXPERIMENT, resume=run_id)
    place.assert_like_the_reference(run_id)


def test_a_run_whose_first_process_is_killed_is_ended_by_the_second(place: Place) -> None:
    steps = f"0 genre_mlflow.training.loop:Loop.step {SECOND_EPOCH} {signal.SIGKILL:d}"
    done = place.torchrun(hit=steps)
    assert done.returncode == 1
    run_id = place.newest()
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert line.startswith("Error: rank 0 is gone; go on with: ")
    assert line.endswith(f"train --resume {run_id}")
    assert place.client.get_run(run_id).info.status == "FAILED"


def test_two_processes_that_are_stopped_and_go_on_reach_what_one_reaches(place: Place) -> None:
    # Asked of one process alone: `torchrun`, who is asked, asks each as quickly.
    steps = f"0 genre_mlflow.training.loop:Loop.step {SECOND_EPOCH} {signal.SIGTERM:d}"
    done = place.torchrun(hit=steps)
    assert done.returncode == 1
    assert not [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    run_id = place.newest()
    assert place.client.get_run(run_id).info.status == "KILLED"
    again = place.torchrun("--resume", run_id)
    assert again.returncode == 0, again.stderr[-3000:]
    assert "on 2 processes, this one on cpu (1 thread)" in again.stdout
    assert again.stdout.count("registered as") == 1
    assert place.newest() == run_id
    place.assert_like_the_reference(run_id)
