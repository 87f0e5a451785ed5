"""Pictures of one recording, found by correlating them over all shifts in time.

Two stages: all pairs are correlated as small fingerprints, and those that are like one another
once more in full. What is correlated are the steps from band to band, less their mean over time,
so that neither loudness nor an equaliser counts.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft, next_fast_len, rfft

BANDS, COLUMNS = 64, 128  # of the pictures; of 30 s a column is 0.23 s
BANDS_A_STEP, COLUMNS_A_STEP = 4, 2  # of them in one of a fingerprint
BLOCK = 64  # pictures that are correlated with as many at once, which stays in the cache
LEAST_OVERLAP = 1 / 6  # of a picture: 5 s of 30 s
FULL_OVERLAP = 1 / 2  # shorter ones prove less, and count less
QUIET = 1e-3  # of a picture's energy, added to that of an overlap: silence is like nothing
PEAK = 4 / 128  # of a picture: shifts as near as this to the best one are the same peak

# Measured by benchmarks/bench_leaks.py on the GTZAN images. How far a peak stands out tells loops
# and held chords, which are like others at any shift, from the same recording at one.
CANDIDATE = 0.3  # score of fingerprints
DOUBTFUL, SURE, SAME = 0.3, 0.5, 0.9  # score
DOUBTFUL_PROMINENCE, SURE_PROMINENCE = 5.0, 7.0  # not asked of what is the same

Levels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.intp]
Progress = Callable[[int, int], None]  # pictures done, pictures in all


@dataclass(frozen=True)
class Matches:
    """Pairs of pictures that are like one another, a row each.

    `one`, `other`: places of the pictures. `score`: 0 to 1, normalised correlation at the best
    shift, less where the overlap is short. `prominence`: that by the root mean square at all other
    shifts. `shift`: in pictures; where the other one begins in the first.
    """

    one: Numbers
    other: Numbers
    score: Floats
    prominence: Floats
    shift: Floats

    @property
    def is_sure(self) -> npt.NDArray[np.bool_]:
        """Whether nothing but one recording gives this."""
        stands_out = (self.score >= SURE) & (self.prominence >= SURE_PROMINENCE)
        return stands_out | (self.score >= SAME)


@dataclass(frozen=True)
class Contours:
    """Pictures as they are correlated.

    `transformed`: Fourier transforms over time, `[frequencies, pictures, bands]`. `before`,
    `after`: what a product is multiplied by for each shift, where the picture is the first of a
    pair or the second, `[pictures, shifts]`. `shifts`: in columns.
    """

    transformed: npt.NDArray[np.complex64]
    before: Floats
    after: Floats
    shifts: Numbers
    length: int

    def __getitem__(self, some: slice) -> "Contours":
        return Contours(
            self.transformed[:, some], self.before[some], self.after[some], self.shifts, self.length
        )


def contours(pictures: npt.NDArray[np.generic]) -> Contours:
    """What is correlated of pictures, `[pictures, bands, columns]`, in levels linear in dB."""
    steps = np.diff(pictures.astype(np.float32), axis=1)
    sounding = steps.any(axis=1, keepdims=True)  # silence, which is alike everywhere, is left out
    steps -= steps.sum(axis=2, keepdims=True) / np.maximum(sounding.sum(axis=2, keepdims=True), 1)
    steps *= sounding
    n_columns = steps.shape[2]
    farthest = n_columns - round(n_columns * LEAST_OVERLAP)
    shifts = np.arange(-farthest, farthest + 1)
    length = next_fast_len(n_columns + farthest, real=True)
    energy = np.cumsum((steps**2).sum(axis=1), axis=1)
    energy = np.pad(energy, ((0, 0), (1, 0)))
    least = QUIET * energy[:, -1:] + 1e-6
    first, last = np.maximum(shifts, 0), n_columns + np.minimum(shifts, 0)
    weight = np.minimum(1, (n_columns - abs(shifts)) / (n_columns * FULL_OVERLAP)) ** 0.5
    before = weight / np.sqrt(energy[:, last] - energy[:, first] + least)
    after = 1 / np.sqrt(energy[:, last - shifts] - energy[:, first - shifts] + least)
    transformed = np.ascontiguousarray(rfft(steps, length, axis=2).transpose(2, 0, 1))
    return Contours(
        transformed, before.astype(np.float32), after.astype(np.float32), shifts, length
    )


def correlations(one: Contours, other: Contours) -> Floats:
    """Scores of all pairs at all shifts, `[ones, others, shifts]`."""
    products = np.matmul(one.transformed, other.transformed.conj().transpose(0, 2, 1))
    circular = irfft(np.ascontiguousarray(products.transpose(1, 2, 0)), one.length, axis=2)
    farthest = len(one.shifts) // 2
    scores = np.concatenate([circular[..., -farthest:], circular[..., : farthest + 1]], axis=2)
    scores *= one.before[:, None]
    scores *= other.after[None]
    return np.asarray(scores, np.float32)


def near_pairs(
    pictures: Levels,
    group: Sequence[int] | Numbers,
    probes: Sequence[int] | Numbers | None = None,
    progress: Progress = lambda done, total: None,
) -> Matches:
    """Pairs of pictures, of different groups, that may be of one recording.

    Parameters
    ----------
    pictures
        Shape `[pictures, BANDS, COLUMNS]`, levels linear in dB.
    group
        Of each picture; pairs within a group are left out.
    probes
        Places of the pictures that are looked for in all of them; by default all.
    progress
        Told how many probes have been looked for.
    """
    groups = np.asarray(group)
    sought = np.arange(len(pictures)) if probes is None else np.asarray(probes, np.intp)
    rest = np.setdiff1d(np.arange(len(pictures)), sought)
    order = np.concatenate([sought, rest])
    small = contours(fingerprints(pictures[order]))

    def of_block(start: int) -> list[Matches]:
        stop = min(start + BLOCK, len(sought))
        pairs = candidates(small, start, stop, groups[order])
        return [compared(pictures, order[i], order[others]) for i, others in pairs]

    found: list[Matches] = []
    starts = range(0, len(sought), BLOCK)
    with ThreadPoolExecutor() as pool:
        for start, some in zip(starts, pool.map(of_block, starts), strict=True):
            found += some
            progress(min(start + BLOCK, len(sought)), len(sought))
    return joined(found)


def fingerprints(pictures: Levels) -> Floats:
    """Means of cells of several bands and columns, `[pictures, 16, 64]`."""
    n_bands, n_columns = BANDS // BANDS_A_STEP, COLUMNS // COLUMNS_A_STEP
    shape = (len(pictures), n_bands, BANDS_A_STEP, n_columns, COLUMNS_A_STEP)
    return pictures.reshape(shape).mean(axis=(2, 4), dtype=np.float32)


def candidates(
    small: Contours, start: int, stop: int, groups: Numbers
) -> Iterator[tuple[int, Numbers]]:
    """The pictures of a block, and those behind them that their fingerprints are like."""
    found: dict[int, list[int]] = {}
    for begin in range(start, len(groups), BLOCK):
        end = begin + BLOCK
        best = correlations(small[start:stop], small[begin:end]).max(axis=2)
        ones, others = np.nonzero(best >= CANDIDATE)
        for i, j in zip(start + ones, begin + others, strict=True):
            if i < j and groups[i] != groups[j]:
                found.setdefault(int(i), []).append(int(j))
    for one, many in found.items():
        for begin in range(0, len(many), BLOCK):
            yield one, np.array(many[begin : begin + BLOCK], np.intp)


def compared(pictures: Levels, one: int, others: Numbers) -> Matches:
    """One picture with several, in full; those alone that may be of one recording."""
    first, second = contours(pictures[[one]]), contours(pictures[others])
    scores = correlations(first, second)[0]
    best = scores.argmax(axis=1)
    score = scores[np.arange(len(others)), best]
    away = abs(np.arange(scores.shape[1]) - best[:, None]) > PEAK * COLUMNS
    prominence = score / np.sqrt((scores**2).mean(axis=1, where=away) + 1e-12)
    shift = (first.shifts[best] + vertex(scores, best)) / COLUMNS
    matches = Matches(np.full(len(others), one), others, score, prominence, shift)
    stands_out = (score >= DOUBTFUL) & (prominence >= DOUBTFUL_PROMINENCE)
    return rows_of(matches, stands_out | matches.is_sure)


def vertex(scores: Floats, best: Numbers) -> Floats:
    """How far, from -0.5 to 0.5 columns, the peak lies from the best shift: that of a parabola."""
    rows = np.arange(len(scores))
    inside = np.clip(best, 1, scores.shape[1] - 2)
    left, middle, right = (scores[rows, inside + step] for step in (-1, 0, 1))
    bend = left - 2 * middle + right
    apart = np.where(bend < 0, (left - right) / (2 * np.minimum(bend, -1e-9)), 0)
    return np.asarray(np.where(inside == best, np.clip(apart, -0.5, 0.5), 0), np.float32)


def rows_of(matches: Matches, some: npt.NDArray[np.generic]) -> Matches:
    """Some of the pairs, by places or a mask."""
    one, other, score, prominence, shift = (column[some] for column in columns(matches))
    return Matches(one, other, score, prominence, shift)


def joined(many: Sequence[Matches]) -> Matches:
    """All the pairs, in one table."""
    places, numbers = np.empty(0, np.intp), np.empty(0, np.float32)
    some = [Matches(places, places, numbers, numbers, numbers), *many]
    one, other, score, prominence, shift = map(
        np.concatenate, zip(*map(columns, some), strict=True)
    )
    return Matches(one, other, score, prominence, shift)


def columns(matches: Matches) -> tuple[npt.NDArray[Any], ...]:
    """The columns of the table, in their order."""
    return (
        matches.one, matches.other, matches.score, matches.prominence, matches.shift,
    )  # fmt: skip
