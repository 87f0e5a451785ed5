"""Pictures of one recording are found at any shift, and nothing else is."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from genre_mlflow.corpus.near_copies import (
    BANDS,
    BLOCK,
    COLUMNS,
    Matches,
    contours,
    correlations,
    near_pairs,
)


def texture(seed: int, columns: int = 2 * COLUMNS) -> np.ndarray:
    """Spots in a picture, 0 to 255, as wide as notes are, `[bands, columns]`."""
    noise = np.random.default_rng(seed).standard_normal((BANDS, columns))
    smooth = gaussian_filter(noise, (1, 1.5))
    return np.clip(128 + 40 * smooth / smooth.std(), 0, 255)


def stack(*pictures: np.ndarray) -> np.ndarray:
    return np.stack(pictures).astype(np.uint8)


def only(matches: Matches) -> tuple[int, int, float, float]:
    """The one pair: its places, its score and the shift in columns."""
    assert len(matches.one) == 1
    places = int(matches.one[0]), int(matches.other[0])
    return *places, float(matches.score[0]), float(matches.shift[0]) * COLUMNS


@pytest.mark.parametrize("shift", [0, 1, 8.5, -8.5, 40, -40, 90, -90])
def test_one_picture_is_found_at_any_shift(shift: float) -> None:
    whole = texture(0, 4 * COLUMNS)
    half = whole[:, ::2] / 2 + whole[:, 1::2] / 2  # half a column is a column of `whole`
    begin = COLUMNS // 2
    moved = np.roll(whole, -round(2 * shift), axis=1)
    second = moved[:, ::2] / 2 + moved[:, 1::2] / 2
    pictures = stack(
        half[:, begin:][:, :COLUMNS], second[:, begin:][:, :COLUMNS], texture(1)[:, 9:137]
    )
    one, other, _, found = only(near_pairs(pictures, range(3)))
    assert (one, other) == (0, 1)
    assert found == pytest.approx(shift, abs=0.3)


def test_equal_pictures_have_a_score_of_one() -> None:
    picture = texture(0)[:, :COLUMNS]
    *_, score, shift = only(near_pairs(stack(picture, picture), [0, 1]))
    assert score == pytest.approx(1, abs=0.01)
    assert shift == pytest.approx(0, abs=0.05)


def test_level_depth_and_equaliser_do_not_count() -> None:
    picture = texture(0)[:, :COLUMNS]
    other = 20 + 0.6 * picture + np.linspace(0, 60, BANDS)[:, None]
    *_, score, _ = only(near_pairs(stack(picture, other), [0, 1]))
    assert score > 0.95


def test_a_short_overlap_counts_less() -> None:
    whole = texture(0)
    scores = [
        only(near_pairs(stack(whole[:, :COLUMNS], whole[:, n : n + COLUMNS]), [0, 1]))[2]
        for n in (40, 80, 100)
    ]
    assert scores == sorted(scores, reverse=True)
    assert scores[2] < 0.75


def test_noise_is_like_no_other_noise() -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (200, BANDS, COLUMNS), np.uint8)
    assert len(near_pairs(noise, range(200)).one) == 0


@pytest.mark.parametrize("level", [0, 128])
def test_pictures_without_anything_in_them_are_like_none(level: int) -> None:
    pictures = np.full((3, BANDS, COLUMNS), level, np.uint8)
    assert len(near_pairs(pictures, range(3)).one) == 0


def test_silence_at_one_time_is_no_likeness() -> None:
    """Bands differ in all music alike, so that all of it begins and ends alike."""
    bands = np.random.default_rng(9).uniform(0, 200, (BANDS, 1))
    pictures = [bands + 0.2 * texture(seed)[:, :COLUMNS] for seed in range(20)]
    some = contours(np.where(np.arange(COLUMNS) < 80, pictures, 0))
    assert correlations(some[:1], some[1:]).max() < 0.3


def test_one_rhythm_of_loudness_makes_no_pair() -> None:
    beat = 60 * np.random.default_rng(5).standard_normal(COLUMNS)
    pictures = stack(*(np.clip(texture(n)[:, :COLUMNS] / 2 + 60 + beat, 0, 255) for n in (0, 1)))
    assert len(near_pairs(pictures, [0, 1]).one) == 0


def test_what_is_like_another_at_many_shifts_is_not_sure() -> None:
    loop = np.tile(texture(0, 8), 16) - 128
    others = [texture(seed)[:, :COLUMNS] - 128 for seed in (1, 2)]
    pictures = stack(*(128 + 0.8 * loop + 0.4 * other for other in others))
    score = correlations(contours(pictures[:1]), contours(pictures[1:])).max()
    assert 0.55 < score < 0.85
    assert not near_pairs(pictures, [0, 1]).is_sure.any()


def test_a_group_is_no_pair() -> None:
    picture = texture(0)[:, :COLUMNS]
    assert len(near_pairs(stack(picture, picture), [7, 7]).one) == 0


def test_each_pair_is_told_once_across_blocks() -> None:
    n = 2 * BLOCK + 3
    pictures = np.stack([texture(seed)[:, :COLUMNS] for seed in range(n)]).astype(np.uint8)
    pictures[1] = pictures[BLOCK + 5] = pictures[2 * BLOCK + 1]
    matches = near_pairs(pictures, range(n))
    found = sorted(zip(matches.one.tolist(), matches.other.tolist(), strict=True))
    places = [1, BLOCK + 5, 2 * BLOCK + 1]
    assert found == [(a, b) for a in places for b in places if a < b]


def test_probes_are_looked_for_in_all_pictures() -> None:
    pictures = np.stack([texture(seed)[:, :COLUMNS] for seed in range(6)]).astype(np.uint8)
    pictures[4], pictures[5] = pictures[1], pictures[0]
    matches = near_pairs(pictures, [0, 1, 2, 3, 4, 5], probes=[3, 4])
    one, other, *_ = only(matches)
    assert {one, other} == {1, 4}


def test_progress_counts_probes() -> None:
    told: list[tuple[int, int]] = []
    pictures = np.zeros((BLOCK + 1, BANDS, COLUMNS), np.uint8)
    near_pairs(pictures, range(BLOCK + 1), progress=lambda done, total: told.append((done, total)))
    assert told == [(BLOCK, BLOCK + 1), (BLOCK + 1, BLOCK + 1)]


def test_no_picture_gives_no_pair() -> None:
    assert len(near_pairs(np.empty((0, BANDS, COLUMNS), np.uint8), []).one) == 0
