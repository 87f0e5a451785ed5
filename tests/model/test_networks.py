"""The network: the shapes that its settings say, and no others."""

import pytest
import torch
from torch import nn

from genre_mlflow.errors import SettingsError
from genre_mlflow.model.networks import NETWORKS, family
from genre_mlflow.model.networks.vgg import VGG
from genre_mlflow.settings import options_of


def layers(network: nn.Module, kind: type[nn.Module]) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, kind)]


def images(n: int, size: int, channels: int = 3) -> torch.Tensor:
    return torch.randint(0, 256, (n, channels, size, size), dtype=torch.uint8)


@pytest.mark.parametrize("widths", [(4,), (4, 8), (2, 4, 8, 16, 32)])
@pytest.mark.parametrize("size", [32, 33, 63])
@pytest.mark.parametrize("n_genres", [2, 10])
def test_logits_have_a_column_for_each_genre(widths, size, n_genres):
    network = VGG(widths=widths, head_width=8).build(n_genres, (3, size, size))
    assert network(images(3, size)).shape == (3, n_genres)


@pytest.mark.parametrize("convs", [1, 2, 3])
def test_settings_give_the_layers(convs):
    settings = VGG(widths=(4, 6), convs_per_block=convs, head_width=7, dropout=0.25)
    network = settings.build(5, (1, 32, 32))
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
    network = VGG(widths=(4,), head_width=8).build(3, (3, 32, 32)).eval()
    image = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    later, higher = image.clone(), image.clone()
    image[..., 8:12, 8:12] = later[..., 8:12, 20:24] = higher[..., 20:24, 8:12] = 255
    assert torch.allclose(network(image), network(later), atol=1e-5)
    assert not torch.allclose(network(image), network(higher), atol=1e-5)


@pytest.mark.parametrize(("size", "most"), [(32, 5), (63, 5), (64, 6)])
def test_more_blocks_than_the_image_can_be_halved_are_refused(size, most):
    VGG(widths=(1,) * most).build(2, (1, size, 2 * size))
    message = f"widths has {most + 1} blocks, which halve {size} pixels .* at most {most}$"
    with pytest.raises(SettingsError, match=message):
        VGG(widths=(1,) * (most + 1)).build(2, (1, size, 2 * size))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"widths": ()}, r"widths is \(\); allowed are 1 to 4096 channels"),
        ({"widths": (1,) * 9}, "widths has 9 blocks; allowed are 1 to 8"),
        ({"widths": (16, 0)}, r"widths is \(16, 0\)"),
        ({"widths": (4097,)}, r"widths is \(4097,\)"),
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
        VGG(**values)


@pytest.mark.parametrize(
    "values",
    [{"widths": [4096] * 8}, {"convs_per_block": 8}, {"head_width": 8192}, {"dropout": 0.0}],
)
def test_settings_at_the_edge_are_taken(values):
    assert hash(VGG(**values)) == hash(VGG(**values))


@pytest.mark.parametrize("name", [name for name in NETWORKS if not family(name).is_fitted])
def test_every_family_that_learns_has_gradients_for_all_parameters(name):
    torch.manual_seed(0)
    network = family(name)().build(3, (1, 64, 64))
    logits = network(images(4, 64, channels=1))
    torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 0])).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("name", NETWORKS)
def test_every_family_answers_for_each_genre(name):
    network = family(name)().build(3, (1, 64, 64)).eval()
    assert network(images(4, 64, channels=1)).shape == (4, 3)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_seed_alone_decides_the_first_weights(name):
    states = []
    for _ in range(2):
        torch.manual_seed(5)
        states.append(family(name)().build(3, (1, 64, 64)).state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_options_that_families_share_are_the_same_option():
    declared = {}
    for name in NETWORKS:
        for option, said in options_of(family(name)).items():
            default = getattr(family(name)(), option)
            assert declared.setdefault(option, (said, default)) == (said, default)


def test_an_image_too_small_for_resnet18_is_refused():
    network = family("resnet18")().build(2, (3, 33, 33))
    network.train()(images(1, 33))  # a batch of one can be normalised
    with pytest.raises(SettingsError, match="32 x 32 pixels; resnet18 needs 33 or more"):
        family("resnet18")().build(2, (3, 32, 32))
