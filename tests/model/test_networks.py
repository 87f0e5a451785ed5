"""The network: the shapes that its settings say, and no others."""

import numpy as np
import pytest
import torch
from scipy.fft import dctn
from torch import nn

from genre_mlflow.errors import SettingsError
from genre_mlflow.model.layers import Crops, Fused, Textures
from genre_mlflow.model.networks import NETWORKS, family
from genre_mlflow.model.networks.crnn import CRNN
from genre_mlflow.model.networks.vgg import VGG
from genre_mlflow.settings import options_of

# The network of pixels alone, which takes colours too.
PLAIN = {"stem": "pixels", "pooling": "mean", "crop": 1.0, "statistics_share": 0.0}

READ_FILES = [name for name in NETWORKS if family(name).reads_files]


def layers(network: nn.Module, kind: type[nn.Module]) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, kind)]


def images(n: int, size: int, channels: int = 3) -> torch.Tensor:
    return torch.randint(0, 256, (n, channels, size, size), dtype=torch.uint8)


@pytest.mark.parametrize("widths", [(4,), (4, 8), (2, 4, 8, 16, 32)])
@pytest.mark.parametrize("size", [32, 33, 63])
@pytest.mark.parametrize("n_genres", [2, 10])
def test_logits_have_a_column_for_each_genre(widths, size, n_genres):
    network = VGG(widths=widths, head_width=8, **PLAIN).build(n_genres, (3, size, size))
    assert network(images(3, size)).shape == (3, n_genres)


@pytest.mark.parametrize("convs", [1, 2, 3])
def test_settings_give_the_layers(convs):
    settings = VGG(widths=(4, 6), convs_per_block=convs, head_width=7, dropout=0.25, **PLAIN)
    network = settings.build(5, (1, 32, 32))
    found = layers(network, nn.Conv2d)
    assert [conv.out_channels for conv in found] == [4] * convs + [6] * convs
    assert {conv.kernel_size for conv in found} == {(3, 3)}
    assert len(layers(network, nn.BatchNorm2d)) == len(found)
    assert len(layers(network, nn.ReLU)) == len(found) + 1
    assert [pool.kernel_size for pool in layers(network, nn.MaxPool2d)] == [(2, 2), (2, 2)]
    assert [(fc.in_features, fc.out_features) for fc in layers(network, nn.Linear)] == [
        (6 * 8, 7),
        (7, 5),
    ]
    assert [drop.p for drop in layers(network, nn.Dropout)] == [0.25, 0.25]


def test_where_in_time_does_not_matter_but_height_does():
    network = VGG(widths=(4,), head_width=8, **PLAIN).build(3, (3, 32, 32)).eval()
    image = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    later, higher = image.clone(), image.clone()
    image[..., 8:12, 8:12] = later[..., 8:12, 20:24] = higher[..., 20:24, 8:12] = 255
    assert torch.allclose(network(image), network(later), atol=1e-5)
    assert not torch.allclose(network(image), network(higher), atol=1e-5)


@pytest.mark.parametrize(
    ("stem", "size", "most", "what"),
    [
        ("pixels", 32, 5, "32 pixels"), ("pixels", 63, 5, "63 pixels"),
        ("pixels", 64, 6, "64 pixels"), ("textures", 32, 2, "4 rows of textures"),
        ("textures", 128, 4, "16 rows of textures"),
    ],
)  # fmt: skip
def test_more_blocks_than_the_image_can_be_halved_are_refused(stem, size, most, what):
    VGG(stem=stem, widths=(1,) * most).build(2, (1, size, 2 * size))
    message = f"widths has {most + 1} blocks, which halve {what} .* at most {most}$"
    with pytest.raises(SettingsError, match=message):
        VGG(stem=stem, widths=(1,) * (most + 1)).build(2, (1, size, 2 * size))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"statistics_share": 0.0},
            "^stem textures needs one channel of dB: --colours undone, or --stem pixels$",
        ),
        (
            {},
            r"^network vgg with statistics_share 0\.67 needs one channel of dB: --colours undone, "
            "or --stem pixels --statistics-share 0$",
        ),
    ],
)
def test_what_needs_levels_refuses_colours(values, message):
    with pytest.raises(SettingsError, match=message):
        VGG(**values).check_input((3, 128, 384))


def test_the_deviation_over_time_doubles_what_the_head_reads():
    shape = (1, 64, 128)
    one, two = (
        layers(VGG(widths=(4, 6), pooling=kind, statistics_share=0.0).build(5, shape), nn.Linear)
        for kind in ("mean", "mean-deviation")
    )
    assert [one[0].in_features, two[0].in_features] == [6 * 2, 6 * 2 * 2]


def test_textures_are_the_energies_of_cosines_in_each_patch():
    pixels = images(2, 32, channels=1)
    textures = Textures().eval()
    textures.norm.eps = 0.0
    found = textures(pixels)
    assert found.shape == (2, 64, 4, 4)
    patch = pixels[1, 0, 8:16, 24:32].numpy() / 255
    theirs = np.log(np.abs(dctn(patch, norm="ortho")) + 0.01)
    np.testing.assert_allclose(found[1, :, 1, 3].reshape(8, 8), theirs, atol=1e-3)


def test_a_crop_is_drawn_to_learn_and_three_answer():
    seen = []

    class Body(nn.Module):
        def forward(self, pixels):
            seen.extend(pixels[:, 0, 0].tolist())
            return pixels[:, 0, 0, :2].float()

    pixels = torch.arange(11).view(1, 1, 1, 11)
    crops = Crops(Body(), 0.5)
    torch.manual_seed(0)
    for _ in range(40):
        crops(pixels)
    assert {tuple(columns) for columns in seen} == {tuple(range(i, i + 6)) for i in range(6)}
    seen.clear()
    answer = crops.eval()(pixels)
    assert [columns[0] for columns in seen] == [0, 2, 5]
    assert answer.exp().sum() == pytest.approx(1)


def test_what_is_fitted_and_what_is_learnt_answer_by_their_shares():
    fitted, learnt = nn.Linear(3, 2), nn.Linear(3, 2)
    fused, rows = Fused(fitted, learnt, 0.25), torch.randn(4, 3)
    assert fused(rows).equal(learnt(rows))  # it learns alone
    fused.eval()
    expected = 0.25 * fitted(rows).log_softmax(1) + 0.75 * learnt(rows).log_softmax(1)
    assert torch.allclose(fused(rows), expected)
    assert torch.allclose(fused(rows, fitted(rows)), expected)


@pytest.mark.parametrize("family", [VGG, CRNN])
def test_an_ensemble_has_other_weights_and_answers_by_the_mean_of_logarithms(family):
    torch.manual_seed(0)
    network = family(widths=(4, 4), ensemble=3).build(5, (1, 64, 96))
    committee = getattr(network, "learnt", network)
    pixels = torch.randint(0, 256, (2, 1, 64, 96), dtype=torch.uint8)
    assert committee(pixels).shape == (3, 2, 5)  # each for itself, to learn
    committee.eval()
    with torch.no_grad():
        answers = [member(pixels).log_softmax(1) for member in committee.members]
        assert torch.allclose(committee(pixels), sum(answers) / 3, atol=1e-6)
    assert not torch.allclose(answers[0], answers[1])
    assert str(family(ensemble=3)).startswith("3 x ")
    assert isinstance(family(widths=(4,)).build(2, (1, 64, 96)), type(network)) == (family is VGG)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ensemble": 0}, r"ensemble is 0; allowed are 1 to 100$"),
        ({"widths": ()}, r"widths is \(\); allowed are 1 to 4096 channels"),
        ({"widths": (1,) * 9}, "widths has 9 blocks; allowed are 1 to 8"),
        ({"widths": (16, 0)}, r"widths is \(16, 0\)"),
        ({"widths": (4097,)}, r"widths is \(4097,\)"),
        ({"convs_per_block": 0}, "convs_per_block is 0; allowed are 1 to 8"),
        ({"convs_per_block": 9}, "convs_per_block is 9"),
        ({"head_width": -1}, "head_width is -1; allowed are 0 to 8192 units"),
        ({"statistics_share": 1.0}, r"statistics_share is 1\.0; allowed are 0 to below 1"),
        ({"crop": 0.0}, r"crop is 0\.0; allowed are values above 0 up to 1"),
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


@pytest.mark.parametrize("name", READ_FILES)
def test_every_family_answers_for_each_genre(name):
    network = family(name)().build(3, (1, 64, 64)).eval()
    assert network(images(4, 64, channels=1)).shape == (4, 3)


@pytest.mark.parametrize("name", READ_FILES)
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
