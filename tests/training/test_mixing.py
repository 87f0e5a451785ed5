"""What a step learns from: mixed tracks and smoothed truth."""

import pytest
import torch

from genre_mlflow.training.mixing import Mixer

PIXELS = torch.arange(4, dtype=torch.uint8).view(4, 1, 1, 1) * 50
LABELS = torch.tensor([0, 1, 2, 0])


def test_without_either_the_batch_stays_as_it_is():
    pixels, truth = Mixer(3, mixup=0, smoothing=0)(PIXELS, LABELS)
    assert pixels is PIXELS
    assert truth.equal(torch.eye(3)[LABELS])


def test_smoothing_gives_a_share_to_all_genres_alike():
    _, truth = Mixer(3, mixup=0, smoothing=0.3)(PIXELS, LABELS)
    assert truth[1].tolist() == pytest.approx([0.1, 0.8, 0.1])
    assert truth.sum(1).tolist() == pytest.approx([1] * 4)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 10.0])
def test_pixels_and_truth_are_mixed_by_one_share_and_a_label_stays_the_likeliest(alpha):
    torch.manual_seed(0)
    levels = torch.tensor([0.0, 100.0, 250.0])  # of each genre
    pixels = levels[LABELS].to(torch.uint8).view(4, 1, 1, 1)
    is_mixed = False
    for _ in range(20):
        mixed, truth = Mixer(3, mixup=alpha, smoothing=0)(pixels, LABELS)
        assert mixed.flatten().tolist() == pytest.approx((truth @ levels).tolist(), abs=1e-3)
        assert truth.sum(1).tolist() == pytest.approx([1] * 4)
        assert (truth.gather(1, LABELS[:, None]) >= 0.5 - 1e-6).all()
        is_mixed = is_mixed or not mixed.equal(pixels.float())
    assert is_mixed


def test_chance_is_that_of_torch():
    drawn = []
    for _ in range(2):
        torch.manual_seed(5)
        drawn.append(Mixer(3, mixup=0.4, smoothing=0.1)(PIXELS, LABELS)[0])
    assert drawn[0].equal(drawn[1])
