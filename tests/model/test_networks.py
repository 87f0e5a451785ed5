"""The network: the shapes that its settings say, and no others."""

import pytest
import torch
from torch import nn

from genre_mlflow.errors import SettingsError
from genre_mlflow.model.networks import VGG
from genre_mlflow.model.settings import NetworkSettings


def layers(network: nn.Module, kind: type[nn.Module]) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, kind)]


def images(n: int, size: int) -> torch.Tensor:
    return torch.randint(0, 256, (n, 3, size, size), dtype=torch.uint8)


@pytest.mark.parametrize("widths", [(4,), (4, 8), (2, 4, 8, 16, 32)])
@pytest.mark.parametrize("size", [32, 33, 63])
@pytest.mark.parametrize("n_genres", [2, 10])
def test_logits_have_a_column_for_each_genre(widths, size, n_genres):
    network = VGG(NetworkSettings(widths=widths, head_width=8), n_genres, size)
    assert network(images(3, size)).shape == (3, n_genres)


@pytest.mark.parametrize("convs", [1, 2, 3])
def test_settings_give_the_layers(convs):
    network = VGG(NetworkSettings((4, 6), convs, head_width=7, dropout=0.25), 5, 32)
    found = layers(network, nn.Conv2d)
    assert [conv.out_channels for conv in found] == [4] * convs + [6] * convs
    assert {conv.kernel_size for conv in found} == {(3, 3)}
    assert len(layers(network, nn.BatchNorm2d)) == len(found)
    assert len(layers(network, nn.ReLU)) == len(found) + 1
    assert [pool.kernel_size for pool in layers(network, nn.MaxPool2d)] == [2, 2]
    assert [(fc.in_features, fc.out_features) for fc in layers(network, nn.Linear)] == [
        (6 * 8, 7),
        (7, 5),
    ]
    assert [drop.p for drop in layers(network, nn.Dropout)] == [0.25, 0.25]


def test_where_in_time_does_not_matter_but_height_does():
    network = VGG(NetworkSettings((4,), head_width=8), 3, 32).eval()
    image = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    later, higher = image.clone(), image.clone()
    image[..., 8:12, 8:12] = later[..., 8:12, 20:24] = higher[..., 20:24, 8:12] = 255
    assert torch.allclose(network(image), network(later), atol=1e-5)
    assert not torch.allclose(network(image), network(higher), atol=1e-5)


@pytest.mark.parametrize(("size", "most"), [(32, 5), (63, 5), (64, 6)])
def test_more_blocks_than_the_image_can_be_halved_are_refused(size, most):
    VGG(NetworkSettings((1,) * most), 2, size)
    message = f"widths has {most + 1} blocks, which halve {size} pixels .* at most {most}$"
    with pytest.raises(SettingsError, match=message):
        VGG(NetworkSettings((1,) * (most + 1)), 2, size)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"widths": ()}, r"widths are \(\); allowed are 1 to 8 blocks"),
        ({"widths": (1,) * 9}, "allowed are 1 to 8 blocks of 1 to 4096 channels"),
        ({"widths": (16, 0)}, r"widths are \(16, 0\)"),
        ({"widths": (4097,)}, r"widths are \(4097,\)"),
        ({"convs_per_block": 0}, "convs_per_block is 0; allowed are 1 to 8"),
        ({"convs_per_block": 9}, "convs_per_block is 9"),
        ({"head_width": 0}, "head_width is 0; allowed are 1 to 8192 units"),
        ({"head_width": 8193}, "head_width is 8193"),
        ({"dropout": -0.1}, "dropout is -0.1; allowed are 0 to below 1"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"dropout": float("nan")}, "dropout is nan"),
    ],
)
def test_settings_out_of_range_are_refused(values, message):
    with pytest.raises(SettingsError, match=message):
        NetworkSettings(**values)


@pytest.mark.parametrize(
    "values",
    [{"widths": [4096] * 8}, {"convs_per_block": 8}, {"head_width": 8192}, {"dropout": 0.0}],
)
def test_settings_at_the_edge_are_taken(values):
    assert hash(NetworkSettings(**values)) == hash(NetworkSettings(**values))
