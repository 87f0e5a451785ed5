from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from explaining import GENRES, PICTURES, PLACES, corpus, learnt, pictures

from genre_mlflow.errors import DataError
from genre_mlflow.evaluation.occlusion import (
    EVERY,
    HIDDEN_BY,
    OTHERS,
    band_answers,
    band_table,
    bands_of,
    deals,
)
from genre_mlflow.evaluation.predictions import predict_tracks
from genre_mlflow.features.settings import PreprocessingSettings

BANDS = bands_of(PICTURES, 8)  # four rows each
ROUNDING = 1e-9


def told(pixels: torch.Tensor, labels: torch.Tensor, classifier) -> pd.DataFrame:
    """The table of bands of such a corpus."""
    manifest, tracks = corpus(pixels, labels)
    before = predict_tracks(classifier, manifest, tracks)
    after = band_answers(classifier, manifest, tracks, BANDS, lambda done, total: None)
    return band_table(before, after, BANDS)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return told(*pictures(40, seed=3), learnt(*pictures(64, seed=0)))


def test_the_table_has_a_row_for_each_band_of_all_tracks_and_of_each_genre(table) -> None:
    assert len(table) == len(BANDS) * len(HIDDEN_BY) * (1 + len(GENRES))
    assert table["tracks"].unique().tolist() == [40, 20]


def is_told_apart(rows: slice) -> bool:
    """Whether the genres differ in these rows."""
    return any(place.start < rows.stop and rows.start < place.stop for place, _ in PLACES.values())


@pytest.mark.parametrize("genre", [EVERY, *GENRES])
def test_bands_in_which_genres_differ_cost_most_and_beyond_doubt(table, genre) -> None:
    """Of two genres, the band of the other one tells as much: what is not there speaks too."""
    own = table[(table["genre"] == genre) & (table["hidden_by"] == OTHERS)]
    order = own["log_probability_drop"].to_numpy().argsort()[::-1]
    assert all(is_told_apart(BANDS[place].rows) for place in order[:2])
    assert own["log_probability_drop_low"].to_numpy()[order[0]] > 0


def test_bands_in_which_no_genre_differs_cost_nothing(table) -> None:
    every = table[(table["genre"] == EVERY) & (table["hidden_by"] == OTHERS)]
    empty = [n for n, band in enumerate(BANDS) if band.rows.start >= 12 and band.rows.stop <= 20]
    assert empty
    assert abs(every["accuracy_drop"].to_numpy()[empty]).max() < ROUNDING


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2))])
def test_in_noise_no_band_matters(seed) -> None:
    """What is learnt of noise by heart says nothing of other noise."""
    classifier = learnt(*pictures(32, seed=seed, silent=True))
    table = told(*pictures(60, seed=100 + seed, silent=True), classifier)
    every = table[(table["genre"] == EVERY) & (table["hidden_by"] == OTHERS)]
    assert not (every["accuracy_drop_low"] > ROUNDING).any()


def test_bands_are_all_rows_once_the_lowest_first() -> None:
    rows = [row for band in bands_of(PreprocessingSettings()) for row in range(128)[band.rows]]
    assert sorted(rows) == list(range(128))
    bands = bands_of(PreprocessingSettings(fmin=50.0, fmax=8000.0))
    assert len(bands) == 16
    assert (bands[0].rows, round(bands[0].low_hz)) == (slice(120, 128), 50)
    assert round(bands[-1].high_hz) == 8000
    assert all(one.high_hz == next_.low_hz for one, next_ in pairwise(bands))


def test_rows_that_are_no_frequencies_have_no_bands() -> None:
    with pytest.raises(DataError, match="show mfcc, whose rows are no bands of frequency"):
        bands_of(PreprocessingSettings(features="mfcc"))


def test_no_track_is_hidden_by_itself() -> None:
    for n in (2, 3, 50):
        for donors in deals(torch.arange(n)):
            assert sorted(donors.tolist()) == list(range(n))
            assert (donors != torch.arange(n)).all()


def test_no_segment_is_hidden_by_one_of_its_own_track() -> None:
    owners = torch.tensor([0] * 9 + [1] + [2] * 4 + [0])
    for donors in deals(owners):
        assert (owners[donors] != owners).all()
        assert len(set(owners[donors][owners == 0].tolist())) == 1


@pytest.mark.parametrize("n", [1, 2])
def test_one_track_alone_has_none_to_be_hidden_by(n: int) -> None:
    manifest, tracks = corpus(*pictures(n, seed=0))
    manifest = manifest.assign(track_id=[f"song.seg00{i}" for i in range(n)])
    classifier = learnt(*pictures(4, seed=0))
    with pytest.raises(DataError, match="but there is one track"):
        band_answers(classifier, manifest, tracks, BANDS, lambda done, total: None)


def test_segments_of_one_recording_are_one_track() -> None:
    pixels, labels = pictures(8, seed=3)
    manifest, tracks = corpus(pixels, labels)
    names = [f"{genre}.{n // 4}.seg00{n // 2 % 2}" for n, genre in enumerate(manifest["genre"])]
    manifest = manifest.assign(track_id=names)
    classifier = learnt(pixels, labels)
    before = predict_tracks(classifier, manifest, tracks)
    after = band_answers(classifier, manifest, tracks, BANDS[:1], lambda done, total: None)
    assert band_table(before, after, BANDS)["tracks"].tolist()[:2] == [4, 4]
    assert np.isfinite(before.filter(like="logit_").to_numpy()).all()
