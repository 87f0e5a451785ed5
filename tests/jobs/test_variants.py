"""Recordings are learnt from stretched and shifted as sound, and a stopped run goes on alike."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mlflow import MlflowClient
from sounds import encode, tone
from support import EXPERIMENT, InterruptAfter, runs_in, small_options

from genre_mlflow.cli.base import speaking
from genre_mlflow.files.home import home
from genre_mlflow.jobs import fitting
from genre_mlflow.jobs.train import train
from genre_mlflow.options import TrainOptions
from genre_mlflow.training.loop import fit

pytestmark = pytest.mark.slow

SHIFTED = {"pitch_shift": 2.0, "time_stretch": 0.2, "variants": 2}


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """Short recordings of three genres, tones of their own."""
    folder = tmp_path / "music"
    for number, genre in enumerate(["blues", "jazz", "rock"]):
        (folder / genre).mkdir(parents=True)
        for track in range(5):
            sound = tone(1.2, hz=300 * (number + 1) + 20 * track, seed=track)
            (folder / genre / f"{track}.wav").write_bytes(encode(sound))
    return folder


def recorded(data: Path, **changes: object) -> TrainOptions:
    return small_options(data, segment_s=1.0, **{**SHIFTED, **changes})


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """What each call of `fit` is given."""
    calls: list[dict[str, object]] = []

    def noted(classifier, tracks, *args, **named):  # type: ignore[no-untyped-def]
        calls.append({"tracks": tracks, **named})
        return fit(classifier, tracks, *args, **named)

    monkeypatch.setattr(fitting, "fit", noted)
    return calls


def test_only_what_is_learnt_from_is_varied_and_nothing_is_warped_twice(
    music: Path, store: MlflowClient, fitted: list[dict[str, object]]
) -> None:
    said: list[str] = []
    with speaking(said.append):
        train(recorded(music, time_mask=0.1), experiment=EXPERIMENT)
    (call,) = fitted
    assert call["tracks"]["train"].variants.n == 2
    assert call["tracks"]["val"].variants is None
    left = call["augmentation"]
    assert (left.time_stretch, left.pitch_shift, left.time_mask) == (0.0, 0.0, 0.1)
    n_train = len(call["tracks"]["train"].manifest)
    assert len(list((home() / "cache").glob("variants-*/*.npy"))) == n_train
    assert f"Stretched and shifted {n_train} of {n_train} files, 2 variants each" in "\n".join(said)


def test_images_alone_are_warped_anew_in_each_epoch(
    tmp_path: Path,
    store: MlflowClient,
    make_corpus: Callable[..., Path],
    fitted: list[dict[str, object]],
) -> None:
    train(small_options(make_corpus(tmp_path / "images"), **SHIFTED), experiment=EXPERIMENT)
    (call,) = fitted
    assert call["tracks"]["train"].variants is None
    assert call["augmentation"].time_stretch == 0.2
    assert not list((home() / "cache").glob("variants-*"))


def test_a_run_that_was_interrupted_ends_as_if_never_stopped(
    music: Path, store: MlflowClient
) -> None:
    whole = train(recorded(music), experiment="whole")
    with pytest.raises(KeyboardInterrupt):
        train(recorded(music), experiment="cut", observer=InterruptAfter(1))
    (run,) = runs_in(store, "cut")
    train(recorded(music), experiment="cut", resume=run.info.run_id)
    plain = train(
        recorded(music, **dict.fromkeys(("pitch_shift", "time_stretch"), 0.0)), experiment="plain"
    )
    losses = [
        [m.value for m in store.get_metric_history(run_id, "train_loss")]
        for run_id in (whole.run_id, run.info.run_id, plain.run_id)
    ]
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


def test_a_refit_learns_from_the_variants_of_train_and_validation(
    music: Path, store: MlflowClient, fitted: list[dict[str, object]]
) -> None:
    train(recorded(music, refit=True), experiment=EXPERIMENT)
    first, again = (call["tracks"]["train"] for call in fitted)
    assert len(again.manifest) > len(first.manifest)
    assert again.variants.n == first.variants.n == 2
    assert torch.equal(again.owners, torch.arange(len(again.manifest)))
