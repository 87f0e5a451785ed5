"""A store that goes away, or is slow, does not stop a training; all arrives, once."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient
from outages import MortalServer, proxy_of
from support import assert_mistake, models_in, small_options, store_in

from genre_mlflow.cli.main import main
from genre_mlflow.jobs.outcome import Outcome
from genre_mlflow.jobs.train import train
from genre_mlflow.tracking.outbox import waiting_folder
from genre_mlflow.training.history import EpochResult
from genre_mlflow.training.observer import Observer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
EPOCHS = 4
LOST = (
    r"POST .*/logged-models$", r"POST .*/runs/log-batch", r"PUT .*/images/",
    r"POST .*/runs/outputs", r"PATCH .*/logged-models/",
)  # fmt: skip


class At(Observer):
    """Does something when an epoch has ended, before the store hears of it."""

    def __init__(self, **steps: Callable[[], object]) -> None:
        self.steps = steps

    def on_epoch_end(self, result: EpochResult, weights: Path) -> None:
        step = self.steps.pop(f"epoch{result.epoch}", None)
        if step:
            step()


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory, make_corpus: Callable[..., Path]) -> Path:
    return make_corpus(tmp_path_factory.mktemp("outage") / "music")


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MortalServer]:
    server = MortalServer(tmp_path_factory.mktemp("mortal"))
    with server.stack:
        yield server


def trained(music: Path, observer: Observer) -> Outcome:
    options = small_options(music, epochs=EPOCHS, keep="all")
    return train(options, experiment="test", observer=observer)


def assert_whole(client: MlflowClient, run_id: str) -> None:
    """Each epoch is there, once: points, images, files and checkpoints; and the model."""
    assert client.get_run(run_id).info.status == "FINISHED"
    for name in ("val_loss", "train_accuracy"):
        steps = [metric.step for metric in client.get_metric_history(run_id, name)]
        assert sorted(steps) == list(range(1, EPOCHS + 1)), name
    images = [entry.path for entry in client.list_artifacts(run_id, "images")]
    for kind in (".png", ".webp"):  # the image, and MLflow's smaller one
        assert len([path for path in images if path.endswith(kind)]) == EPOCHS, images
    assert len(client.list_artifacts(run_id, "confusion")) == EPOCHS
    names = [m.name for m in models_in(client) if m.source_run_id == run_id]
    assert sorted(names) == ["classifier", *(f"epoch-{n:04d}" for n in range(1, EPOCHS + 1))]
    assert "registered" in client.get_run(run_id).data.tags
    assert not waiting_folder(run_id).exists()


def test_a_server_that_is_killed_and_comes_back_has_all_of_it_once(
    mortal: MortalServer, music: Path, tmp_path: Path
) -> None:
    with store_in(tmp_path, mortal.url) as client:
        outcome = trained(music, At(epoch1=mortal.kill, epoch3=mortal.start))
        assert outcome.version
        assert_whole(client, outcome.run_id)


def test_what_a_server_that_stays_away_lacks_is_sent_later(
    mortal: MortalServer, music: Path, tmp_path: Path
) -> None:
    def sync(*words: str):
        return CliRunner().invoke(main, ["sync", *words])

    with store_in(tmp_path, mortal.url) as client:
        outcome = trained(music, At(epoch2=mortal.kill))
        folder = waiting_folder(outcome.run_id)
        assert outcome.unsent == str(folder)
        assert (folder / "results/model/weights.safetensors").exists()
        assert_mistake(sync(outcome.run_id), "cannot be reached .+; start it")
        mortal.start()
        assert_mistake(sync("nobody"), "nothing of a run 'nobody' lies in")
        done = sync(str(folder.parent))
        assert done.exit_code == 0, done.output
        assert "epochs sent" in done.output
        assert "Test accuracy" in done.output
        assert_whole(client, outcome.run_id)
        assert sync().output == "Nothing waits.\n"
        assert sync(outcome.run_id).output == f"Nothing waits of run {outcome.run_id}.\n"


def test_a_slow_server_holds_no_epoch_up_and_lost_answers_double_nothing(
    mortal: MortalServer, music: Path, tmp_path: Path
) -> None:
    with proxy_of(mortal.url) as proxy:
        address = f"http://127.0.0.1:{proxy.server_address[1]}"

        def lose() -> None:
            proxy.lose = list(LOST)
            proxy.open.set()

        # No answer comes between the first epoch's end and the last one's.
        observer = At(epoch1=proxy.open.clear, epoch4=lose)
        with store_in(tmp_path, address) as client:
            run_id = trained(music, observer).run_id
            for _ in range(2 * len(LOST)):
                if not waiting_folder(run_id).exists():
                    break
                CliRunner().invoke(main, ["sync"])
            assert proxy.lose == []
            assert_whole(client, run_id)
