"""What a pass adds up."""

import pytest
import torch

from genre_mlflow.training.passes import Tally


def test_answers_of_all_batches_lie_in_one_piece_that_was_taken_at_once():
    tally = Tally(torch.device("cpu"), 5)
    logits = torch.tensor([[0.0, 1.0], [2.0, 0.0], [0.0, 0.0], [3.0, 1.0], [1.0, 1.0]])
    places = set()
    for batch, loss in ((logits[:2], 3.0), (logits[2:4], 1.0), (logits[4:], 2.0)):
        tally.add(batch.requires_grad_(), torch.tensor(loss), torch.tensor(float(len(batch))))
        places.add(tally.answers.data_ptr())
    loss, answers = tally.read()
    assert len(places) == 1
    assert not tally.answers.requires_grad
    assert loss == pytest.approx(6 / 5)
    assert torch.equal(answers, logits.softmax(dim=1))
