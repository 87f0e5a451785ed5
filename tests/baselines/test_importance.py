"""Importance tells the statistics that matter from those that do not."""

from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from genre_mlflow.baselines.fitting import fit_baseline
from genre_mlflow.baselines.importance import importance, kinds
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.figures.importance import importance_figure
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.networks.baselines import StatisticsBaseline

PIXELS = PreprocessingSettings(image_size=32, image_width=48)
GENRES = ("smooth", "rough")


def tracks_of(n: int, seed: int) -> TrackDataset:
    """Noise of one level, that changes in every column or stays for eight."""
    noise = torch.randint(0, 256, (n, 1, 1, 48), generator=torch.Generator().manual_seed(seed))
    noise[::2] = noise[::2, :, :, ::8].repeat_interleave(8, dim=3)
    pixels = noise.expand(n, 1, 32, 48).to(torch.uint8)
    shas = [str(place) for place in range(n)]
    manifest = pd.DataFrame({"sha256": shas, "genre": [GENRES[i % 2] for i in range(n)]})
    cache = SimpleNamespace(pixels=pixels.numpy(), span={sha: (int(sha), 1) for sha in shas})
    return TrackDataset(manifest, GENRES, cache)


@pytest.fixture(scope="module")
def fitted() -> Classifier:
    classifier = Classifier(GENRES, StatisticsBaseline(estimator="logistic"), PIXELS)
    fit_baseline(classifier, tracks_of(60, 0))
    return classifier


def test_kinds_hold_all_statistics_once(fitted):
    names = fitted.network.features.names
    found = dict(kinds(names))
    assert sorted(place for places in found.values() for place in places) == [*range(len(names))]
    assert all(names[place].startswith(f"{kind} ") for kind in found for place in found[kind])


def test_what_the_answer_hangs_on_loses_most_and_the_table_is_the_same_again(fitted):
    with torch.no_grad():  # by this one alone
        own = dict(kinds(fitted.network.features.names))["roughness_in_time"]
        kept = fitted.network.head.coefficients[:, own].clone()
        fitted.network.head.coefficients.zero_()
        fitted.network.head.coefficients[:, own] = kept
    tracks = tracks_of(40, 1)
    table = importance(fitted, tracks)
    assert table.loc[0, "kind"] == "roughness_in_time"
    assert table.loc[0, "loss"] == pytest.approx(0.5, abs=0.1)
    assert table.loc[0, "deviation"] > 0
    assert (table.loc[1:, ["loss", "deviation"]] == 0).all().all()
    pd.testing.assert_frame_equal(importance(fitted, tracks), table)
    bars = importance_figure(table).axes[0]
    assert bars.get_yticklabels()[0].get_text() == f"roughness in time ({len(own)})"
    assert bars.patches[0].get_width() == pytest.approx(100 * table.loc[0, "loss"])
