"""What an answer loses when a part of the spectrogram is hidden (Zeiler and Fergus 2014).

A part is hidden by its mean, or by the same part of other tracks. The mean is flat as no music is,
which alone may change an answer; what other tracks have there is sound, but says nothing of this
one, as in permutation importance (Breiman 2001).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from genre_mlflow.corpus.manifest import recordings
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.errors import DataError
from genre_mlflow.evaluation import metrics
from genre_mlflow.evaluation.intervals import mean_intervals
from genre_mlflow.evaluation.predictions import (
    SMALLEST,
    answers_of,
    by_recording,
    genres_of,
    probabilities,
)
from genre_mlflow.evaluation.statistics import right
from genre_mlflow.features.mel import band_edges
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.model.classifier import BATCH, Classifier

N_BANDS = 16
CELLS = 8, 12  # of frequency and of time, in a map of one file
DEALS = 3  # times that other tracks are dealt
OTHERS, MEAN = HIDDEN_BY = ("others", "mean")
EVERY = ""  # in place of a genre, in tables
DROPS = ("accuracy_drop", "log_probability_drop")

Progress = Callable[[int, int], None]  # steps done, steps in all


@dataclass(frozen=True)
class Band:
    """Neighbouring rows of a picture, and what they show, in Hz."""

    low_hz: float
    high_hz: float
    rows: slice


def bands_of(settings: PreprocessingSettings, n: int = N_BANDS) -> list[Band]:
    """Bands of mel as equal as the rows allow, the lowest first; fewer where there are fewer rows.

    Raises `DataError` where rows are no frequencies.
    """
    if settings.features != "mel":
        raise DataError(
            f"the pictures of this model show {settings.features}, whose rows are no bands of "
            "frequency; bands can be hidden of features mel"
        )
    height = settings.shape[1]
    edges = band_edges(settings, height)
    bounds = np.linspace(0, height, min(n, height) + 1).round().astype(int)
    return [
        Band(float(edges[low]), float(edges[high]), slice(height - high, height - low))
        for low, high in pairwise(bounds.tolist())
    ]


def cell_drops(
    classifier: Classifier, picture: Tensor, place: int, others: Tensor | None = None
) -> Tensor:
    """By how much hiding each cell lowers the logarithm of a genre's probability, float32 `[H, W]`.

    Negative where a cell speaks against the genre. `picture`: uint8 `[C, H, W]`; `others`: uint8
    `[n, C, H, W]`, whose cells hide its own; without them its mean over time by row does.
    """
    _, height, width = picture.shape
    mean = picture.float().mean(dim=2, keepdim=True).round().to(torch.uint8)
    covers = mean.expand_as(picture)[None] if others is None else others
    cells = list(product(slices(height, CELLS[0]), slices(width, CELLS[1])))
    before = classifier.logits(picture[None]).log_softmax(dim=1)[0, place]
    drops = torch.zeros(height, width)
    for cover in covers:
        changed = picture.repeat(len(cells), 1, 1, 1)
        for one, (rows, columns) in zip(changed, cells, strict=True):
            one[:, rows, columns] = cover[:, rows, columns]
        logits = torch.cat([classifier.logits(batch) for batch in changed.split(BATCH)])
        for (rows, columns), after in zip(cells, logits.log_softmax(dim=1)[:, place], strict=True):
            drops[rows, columns] += (before - after) / len(covers)
    return drops


def slices(length: int, n: int) -> list[slice]:
    """So many parts of a length, or as many as there are places."""
    bounds = np.linspace(0, length, min(n, length) + 1).round().astype(int).tolist()
    return [slice(low, high) for low, high in pairwise(bounds)]


def band_answers(
    classifier: Classifier,
    manifest: pd.DataFrame,
    tracks: TrackDataset,
    bands: Sequence[Band],
    progress: Progress,
) -> dict[tuple[str, int], list[pd.DataFrame]]:
    """Predictions of these tracks with a band hidden, by what hides it and the band's place.

    By the mean of each row over the tracks once, by other tracks `DEALS` times. Raises `DataError`
    for fewer than two tracks.
    """
    codes, names = pd.factorize(np.array(recordings(manifest), object))
    if len(names) < 2:
        raise DataError("bands are hidden by those of other tracks, but there is one track")
    mean = row_means(tracks)
    others = deals(torch.tensor(codes)[tracks.owners])
    covers: dict[str, list[Tensor | None]] = {OTHERS: list(others), MEAN: [None]}
    steps = [(how, i, c) for how in HIDDEN_BY for i in range(len(bands)) for c in covers[how]]
    found: dict[tuple[str, int], list[pd.DataFrame]] = {}
    for done, (how, place, donors) in enumerate(steps):
        progress(done, len(steps))
        logits = []
        for batch in torch.arange(len(tracks)).split(BATCH):
            pixels, _ = tracks.gather(batch.tolist())
            cover = mean if donors is None else tracks.gather(donors[batch].tolist())[0]
            rows = bands[place].rows
            pixels[:, :, rows] = cover[:, :, rows]
            logits.append(classifier.logits(pixels))
        table = answers_of(classifier, manifest, tracks.owners, torch.cat(logits))
        found.setdefault((how, place), []).append(table)
    return found


def deals(owners: Tensor) -> list[Tensor]:
    """For each segment one of another track, int64 `[segments]`, several times; always the same.

    `owners`: the track of each, from 0 on. A track has all of its segments from one other, those
    of a shorter one more than once.
    """
    generator = torch.Generator().manual_seed(0)
    places = [(owners == track).nonzero().flatten() for track in range(int(owners.max()) + 1)]
    found = []
    for _ in range(DEALS):
        order = torch.randperm(len(places), generator=generator)
        donors = torch.empty_like(owners)
        for track, other in zip(order.tolist(), order.roll(1).tolist(), strict=True):
            own, given = places[track], places[other]
            donors[own] = given[torch.arange(len(own)) % len(given)]
        found.append(donors)
    return found


def row_means(tracks: TrackDataset) -> Tensor:
    """The mean of each row over time and tracks, uint8 `[1, C, H, 1]`."""
    sums = [pixels.float().mean(dim=3).sum(dim=0) for pixels, _ in tracks.batches(BATCH)]
    mean = torch.stack(sums).sum(dim=0) / len(tracks)
    return mean.round().to(torch.uint8)[None, :, :, None]


def band_table(
    before: pd.DataFrame,
    after: Mapping[tuple[str, int], Sequence[pd.DataFrame]],
    bands: Sequence[Band],
) -> pd.DataFrame:
    """What each band is worth, with 95 % intervals over groups of tracks.

    A row for all tracks, `genre` empty, and for those of each genre: `genre, hidden_by, low_hz,
    high_hz, tracks`, by how much hiding lowers the accuracy (`accuracy_drop`, -1 to 1) and the
    logarithm of the true genre's probability (`log_probability_drop`, nats), each with `_low` and
    `_high`. `before`, `after`: predictions with nothing and with a band hidden.
    """
    whole = by_recording(before)
    losses = {key: np.mean([loss(whole, by_recording(one)) for one in tables], axis=0)
              for key, tables in after.items()}  # fmt: skip
    values = np.concatenate(list(losses.values()), axis=1)  # [track, two of each band]
    rows = []
    for genre in [EVERY, *(g for g in genres_of(whole) if (whole["genre"] == g).any())]:
        of_genre = (whole["genre"] == genre).to_numpy() if genre else np.ones(len(whole), bool)
        intervals = iter(mean_intervals(values[of_genre], whole["group"][of_genre]))
        for how, place in losses:
            band = bands[place]
            row = {"genre": genre, "hidden_by": how, "low_hz": band.low_hz,
                   "high_hz": band.high_hz, "tracks": int(of_genre.sum())}  # fmt: skip
            for name in DROPS:
                one = next(intervals)
                row |= {name: one.mean, f"{name}_low": one.low, f"{name}_high": one.high}
            rows.append(row)
    return pd.DataFrame(rows)


def loss(before: pd.DataFrame, after: pd.DataFrame) -> np.ndarray:
    """What each track loses, `[track, 2]`: being right, and its genre's log probability."""
    tables = before, after
    gone = [right(table).astype(float) for table in tables]
    logs = [true_log_probability(table) for table in tables]
    return np.column_stack([gone[0] - gone[1], logs[0] - logs[1]])


def true_log_probability(table: pd.DataFrame) -> np.ndarray:
    """The logarithm of the true genre's probability, `[track]`."""
    shares = probabilities(table)[np.arange(len(table)), metrics.places(table)]
    return np.log(np.maximum(shares, SMALLEST))
