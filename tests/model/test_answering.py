"""A network made to answer says what the network says, and leaves it as it is."""

import pytest
import torch
from torch import nn

from genre_mlflow.model.answering import made_to_answer
from genre_mlflow.model.family import Family
from genre_mlflow.model.networks import family
from genre_mlflow.model.networks.fold_ensemble import FoldEnsemble
from genre_mlflow.model.networks.vgg import VGG

SHAPE = (1, 64, 96)
NETWORKS = [
    *(family(name)() for name in ("vgg", "crnn", "resnet18", "efficientnet_b0")),
    family("mobilenet_v3_small")(), family("efficientnet_lite0")(), family("musicnn")(),
    family("statistics")(), family("majority")(),
    VGG(stem="pixels", convs_per_block=2, ensemble=2), FoldEnsemble.of(VGG(widths=(4, 8)), 2),
]  # fmt: skip


def odd(settings: Family) -> nn.Module:
    """A network whose norms and arrays are not those of a fresh one, which change nothing."""
    torch.manual_seed(0)
    network = settings.build(3, SHAPE).eval()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 2)
        if hasattr(layer, "fill") and hasattr(layer, "vectors"):
            n = layer.vectors.shape[1]
            layer.fill(
                vectors=torch.randn(20, n), weights=torch.randn(3, 20), gamma=torch.tensor(1 / n)
            )
    return network


def pixels(n: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (n, *SHAPE), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("settings", NETWORKS, ids=str)
def test_it_answers_the_same_and_the_weights_stay(settings: Family) -> None:
    network = odd(settings)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    twin = made_to_answer(network.train())
    assert network.training
    with torch.inference_mode():
        expected, found = (one(pixels(3)).log_softmax(1) for one in (network.eval(), twin))
    assert torch.allclose(found, expected, atol=2e-5)
    assert before.keys() == network.state_dict().keys()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_norms_behind_convolutions_are_gone_and_what_stays_is_shared() -> None:
    network = odd(VGG(widths=(4, 8)))
    twin = made_to_answer(network)
    norms = [name for name, one in twin.named_modules() if isinstance(one, nn.BatchNorm2d)]
    assert norms == ["learnt.body.stem.norm"]  # it follows a logarithm
    assert twin.learnt.body.head[1].weight is network.learnt.body.head[1].weight
    assert twin.fitted.body.head.vectors is network.fitted.body.head.vectors


def test_a_few_pictures_are_read_by_all_crops_at_once_with_the_same_answer() -> None:
    network = odd(VGG(widths=(4, 8)))
    with torch.inference_mode():
        many, few = network(pixels(12)), network(pixels(12)[:2])
    assert torch.allclose(many[:2], few, atol=1e-5)
