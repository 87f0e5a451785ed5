"""What a pass adds up."""

import pytest
import torch

from genre_mlflow.training.distributed import ALONE
from genre_mlflow.training.passes import Tally
from genre_mlflow.training.whole_batch import Share


def test_answers_of_all_batches_lie_in_one_piece_that_was_taken_at_once():
    tally = Tally(5, 2, torch.device("cpu"))
    logits = torch.tensor([[0.0, 1.0], [2.0, 0.0], [0.0, 0.0], [3.0, 1.0], [1.0, 1.0]])
    places = set()
    for first, n, loss in ((0, 2, 3.0), (2, 2, 1.0), (4, 1, 2.0)):
        batch, whole = logits[first : first + n].clone().requires_grad_(), Share(slice(0, n), 1.0)
        tally.add(first, whole, batch, torch.tensor(loss), torch.tensor(float(n)))
        places.add(tally.answers.data_ptr())
    loss, answers = tally.read(ALONE)
    assert len(places) == 1
    assert not tally.answers.requires_grad
    assert loss == pytest.approx(6 / 5)
    assert torch.equal(answers, logits.softmax(dim=1))
