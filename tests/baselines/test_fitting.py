"""Baselines answer as scikit-learn does, and are kept as arrays."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import SVC

from genre_mlflow.baselines.fitting import chosen, features_of, fit_baseline, fit_fixed_part
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.errors import SettingsError
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.estimators import KernelMachine
from genre_mlflow.model.layers import Crops
from genre_mlflow.model.networks.baselines import ESTIMATORS, MajorityBaseline, StatisticsBaseline
from genre_mlflow.model.networks.vgg import VGG

PIXELS = PreprocessingSettings(image_size=32, image_width=48)


def tracks_of(
    genres: list[int], names: tuple[str, ...], segments: int = 1, seed: int = 0
) -> TrackDataset:
    """Noise with a band whose height is the genre's; segments of a track lie together."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 120, (len(genres) * segments, *PIXELS.shape), dtype=np.uint8)
    for place, genre in enumerate(np.repeat(genres, segments)):
        pixels[place, :, 8 * genre : 8 * genre + 5] += 60
    shas = [str(place) for place in range(len(genres))]
    manifest = pd.DataFrame({"sha256": shas, "genre": [names[genre] for genre in genres]})
    spans = {sha: (segments * place, segments) for place, sha in enumerate(shas)}
    return TrackDataset(manifest, names, SimpleNamespace(pixels=pixels, span=spans))


def fitted(names: tuple[str, ...], **settings: object) -> tuple[Classifier, TrackDataset]:
    classifier = Classifier(names, StatisticsBaseline(**settings), PIXELS)
    tracks = tracks_of([place % len(names) for place in range(30)], names)
    fit_baseline(classifier, tracks)
    return classifier, tracks


def scaled_rows(classifier: Classifier, tracks: TrackDataset) -> np.ndarray:
    rows = torch.from_numpy(
        features_of(Crops(classifier.network, 1.0), tracks, np.arange(len(tracks)))
    )
    return classifier.network.standardise(rows).numpy()


@pytest.mark.parametrize("names", [("a", "b"), ("a", "b", "c")])
def test_an_svm_answers_as_scikit_learn_does(names):
    classifier, tracks = fitted(names, c=2.0)
    rows = scaled_rows(classifier, tracks)
    machine = SVC(C=2.0, gamma=float(classifier.network.head.gamma))
    machines = OneVsRestClassifier(machine).fit(rows, tracks.labels)
    expected = machines.decision_function(rows)
    if len(names) == 2:
        expected = np.stack([-expected, expected], axis=1)
    logits = classifier.logits(next(tracks.batches(30))[0]).numpy()
    sharpness = float(classifier.network.head.sharpness)
    assert sharpness > 0.1
    assert np.abs(logits / sharpness - expected).max() < 1e-5


@pytest.mark.parametrize("names", [("a", "b"), ("a", "b", "c")])
def test_logistic_regression_answers_as_scikit_learn_does(names):
    classifier, tracks = fitted(names, estimator="logistic", c=0.5)
    rows = scaled_rows(classifier, tracks)
    expected = LogisticRegression(C=0.5, max_iter=2000).fit(rows, tracks.labels).predict_proba(rows)
    found = classifier.probabilities(next(tracks.batches(30))[0]).numpy()
    assert np.abs(found - expected).max() < 1e-5


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_what_is_fitted_tells_new_tracks_apart_and_is_kept_as_arrays(estimator, tmp_path):
    classifier, _ = fitted(("a", "b", "c"), estimator=estimator)
    fresh = tracks_of([2, 1, 0, 0, 1, 2], ("a", "b", "c"), segments=2, seed=1)
    pixels, labels = next(fresh.batches(12))
    assert classifier.logits(pixels).argmax(1).equal(labels)
    classifier.save(tmp_path)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".safetensors"]
    loaded = Classifier.load(tmp_path)
    assert loaded.logits(pixels).equal(classifier.logits(pixels))
    assert loaded.digest == classifier.digest


def test_fitting_again_gives_the_same():
    one, other = (fitted(("a", "b", "c"))[0].digest for _ in range(2))
    assert one == other


def test_one_track_of_a_genre_is_enough():
    names = ("a", "b", "c")
    classifier = Classifier(names, StatisticsBaseline(), PIXELS)
    fit_baseline(classifier, tracks_of([0, 1, 2, 0], names))
    assert float(classifier.network.head.sharpness) == 1


def test_the_majority_is_answered_whatever_is_sent():
    names = ("a", "b", "c")
    classifier = Classifier(names, MajorityBaseline(), PIXELS)
    tracks = tracks_of([1, 1, 0, 1, 2, 0, 1, 1], names)
    fit_baseline(classifier, tracks)
    answers = classifier.probabilities(next(tracks.batches(8))[0])
    assert answers.numpy() == pytest.approx(np.tile([2 / 8, 5 / 8, 1 / 8], (8, 1)))


def test_a_genre_without_a_training_track_is_never_the_majority():
    classifier = Classifier(("a", "b"), MajorityBaseline(), PIXELS)
    fit_baseline(classifier, tracks_of([0, 0], ("a", "b")))
    assert classifier.probabilities(torch.zeros(1, *PIXELS.shape)).tolist()[0][1] < 1e-5


def test_features_of_colours_are_refused():
    with pytest.raises(SettingsError, match="statistics needs one channel of dB: --colours undone"):
        StatisticsBaseline().build(2, (3, 32, 32))


def test_beside_a_network_the_features_of_three_crops_of_each_track_are_fitted():
    tracks = tracks_of([0, 1, 2] * 6, ("a", "b", "c"))
    classifier = Classifier(("a", "b", "c"), VGG(widths=(4,), crop=0.5), PIXELS)
    pixels = next(tracks.batches(18))[0]
    fit_fixed_part(classifier.network, tracks)
    reader = classifier.network.fitted.body
    rows = [reader.features(pixels[..., i : i + 24]) for i in (0, 12, 24)]
    mean = torch.cat(rows).mean(dim=0)
    assert torch.allclose(reader.standardise.mean, mean, atol=1e-5)
    assert 18 < len(reader.head.vectors) <= 3 * 18
    said = classifier.network.fitted.eval()(pixels)
    assert (said.argmax(dim=1) == tracks.labels[:18]).all()


def test_of_too_many_segments_each_genre_keeps_its_share_and_one_at_least():
    labels = np.repeat([0, 1, 2], [600, 399, 1])
    places = chosen(labels, 100)
    assert np.bincount(labels[places]).tolist() in ([60, 39, 1], [59, 40, 1])
    assert (np.diff(places) > 0).all()
    assert places.max() == 999
    assert chosen(labels, 1000).tolist() == list(range(1000))
    assert chosen(labels, 100).tolist() == places.tolist()


@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")  # it has no memory
def test_arrays_that_are_loaded_lie_where_the_network_does():
    saved, network = (KernelMachine(3, 4) for _ in range(2))
    saved.fill(vectors=torch.ones(5, 4), weights=torch.ones(3, 5), intercepts=torch.ones(3))
    network.to("meta").load_state_dict(saved.state_dict())  # as on another device
    assert {array.device.type for array in network.buffers()} == {"meta"}
    assert network.vectors.shape == (5, 4)
