"""Sound is foreign that lies farther from the music of a corpus than its own tracks do."""

import pytest
import torch

from genre_mlflow.evaluation.calibration import FEWEST
from genre_mlflow.evaluation.foreign import MOST, by_owner, fit_familiarity, some


def music(n, seed=0):
    return torch.randn(n, 20, generator=torch.Generator().manual_seed(seed)) * 3 + 5


def fitted(n=200, share=0.9):
    return fit_familiarity(music(500), music(n, 1), torch.arange(n), share)


def test_the_share_that_was_asked_for_is_familiar():
    known = fitted(2000)
    others = [known.score(row[None]) for row in music(1000, 2)]
    assert sum(score > 1 for score in others) / 1000 == pytest.approx(0.1, abs=0.03)


def test_what_lies_elsewhere_is_foreign():
    known = fitted()
    assert known.score(music(1, 3) + 20) > 1
    assert known.score(music(1, 3)) < 1


def test_the_middle_segment_speaks_for_a_track():
    known, odd = fitted(), music(1) + 50
    assert known.score(torch.cat([music(2, 4), odd])) < 1
    assert known.score(torch.cat([music(1, 4), odd, odd])) > 1


def test_of_few_recordings_the_farthest_is_familiar():
    known = fitted(40, 0.99)
    assert max(known.score(row[None]) for row in music(40, 1)) == pytest.approx(1)


@pytest.mark.parametrize("n", [FEWEST - 1, FEWEST])
def test_of_too_few_nobody_knows(n):
    assert (fitted(n) is None) == (n < FEWEST)


def test_segments_of_a_recording_are_one():
    assert fit_familiarity(music(50), music(300), torch.arange(300) // 11, 0.9) is None


def test_a_statistic_that_is_the_same_everywhere_tells_no_music_apart():
    flat = [torch.cat([music(n, seed), torch.ones(n, 1)], dim=1) for n, seed in ((90, 0), (60, 1))]
    known = fit_familiarity(*flat, torch.arange(60), 0.99)
    assert known.score(flat[1][:1]) <= 1


def test_equal_tracks_give_finite_scores():
    same = torch.ones(40, 5)
    assert fit_familiarity(same, same, torch.arange(40), 0.99).score(same[:1]) == 0


@pytest.mark.parametrize("n", [1, 7, MOST, 3 * MOST + 1])
def test_at_most_so_many_segments_are_kept_evenly_spread(n):
    found = some(n)
    assert len(set(found.tolist())) == len(found) == min(n, MOST)
    assert (found[0], found[-1]) == (0, n - 1)


def test_segments_are_parted_by_recording_in_their_order():
    owners = torch.tensor([1, 0, 1, 2, 0])
    parts = by_owner(torch.arange(5)[:, None], owners)
    assert [part[:, 0].tolist() for part in parts] == [[1, 4], [0, 2], [3]]
