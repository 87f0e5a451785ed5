"""Weights are written from any layout, and come back as they were."""

import torch
from safetensors.torch import load

from genre_mlflow.model.weights import to_safetensors


def test_weights_come_back_as_they_were():
    weights = {
        "turned": torch.arange(6.0).reshape(2, 3).t(),
        "trained": torch.nn.Parameter(torch.ones(2)),
        "count": torch.tensor(7),
    }
    loaded = load(to_safetensors(weights))
    assert loaded.keys() == weights.keys()
    assert all(torch.equal(loaded[name], weights[name]) for name in weights)
