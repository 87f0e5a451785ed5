"""The network, beside figures of the original.

Those come from `models.define_model` of the musicnn package 0.1.0 with its own checkpoints, by
TensorFlow 2.21 (`tf.compat.v1`, layers of tf_keras), on the patches that `patches` makes here.
"""

import numpy as np
import pytest
import torch
from torch import nn

from genre_mlflow.errors import ModelError
from genre_mlflow.model.pretrained.musicnn import (
    N_TAGS,
    TAGS,
    Layer,
    MusiCNN,
    load_musicnn,
)
from genre_mlflow.model.weights import to_safetensors

FEATURES = [12, 204, 382, 472, 524, 568, 638, 700, 740]
FIGURES = {
    "MSD_musicnn": {
        "tags": [[0.06284728, 0.0064518, 0.02985098], [0.05671616, 0.00714417, 0.02613997]],
        "hidden": [[-0.1771756, 1.327388, -0.2848264], [-0.1771756, 1.328896, -0.2848264]],
        "maximum": [
            [
                -1.947681,
                3.239365e-06,
                6.775856,
                1.330915,
                5.110478,
                0.0003083102,
                1.065901,
                14.04504,
                15.70986,
            ],
            [
                -2.102356,
                3.239365e-06,
                6.277779,
                1.414887,
                4.917529,
                0.0003083102,
                0.8059536,
                17.39891,
                15.48281,
            ],
        ],
        "mean": [
            [
                -3.222522,
                3.239364e-06,
                2.927615,
                -0.7517015,
                3.229844,
                0.0003083104,
                0.1820153,
                5.015436,
                5.108464,
            ],
            [
                -3.226716,
                3.239364e-06,
                2.92635,
                -0.7807478,
                3.162369,
                0.0003083104,
                0.1815599,
                5.323961,
                5.220317,
            ],
        ],
    },
    "MTT_musicnn": {
        "tags": [[0.05764952, 0.002468627, 0.09334792], [0.05593403, 0.002123896, 0.08433203]],
        "hidden": [[1.020486, 0.08128399, -0.09226298], [1.112219, 0.2447414, -0.09226298]],
        "maximum": [
            [
                -0.0005815782,
                9.164218,
                -0.0005583178,
                0.0007919343,
                0.2762645,
                -0.07949456,
                3.476086,
                5.317739,
                21.186,
            ],
            [
                -0.0005815782,
                9.588853,
                -0.0005583178,
                0.0007884003,
                0.2787576,
                0.04273891,
                4.233984,
                5.908768,
                21.39592,
            ],
        ],
        "mean": [
            [
                -0.0005815779,
                8.146282,
                -0.000558318,
                0.000549187,
                0.1879809,
                -1.244429,
                1.560693,
                3.190766,
                -0.03561433,
            ],
            [
                -0.0005815779,
                8.119661,
                -0.000558318,
                0.000524913,
                0.1805834,
                -1.231046,
                1.473483,
                3.101893,
                -0.01045517,
            ],
        ],
    },
}


def patches() -> torch.Tensor:
    """Two patches, `[2, 187, 96]`, of waves in the range of log-mel spectrograms."""
    p, t, b = np.ogrid[:2, :187, :96]
    return torch.from_numpy(1.5 + np.sin(t / 7 + b / 5 + p) + 0.5 * np.cos(t * b / 50)).float()


def fresh() -> MusiCNN:
    """Random weights, and norms that do something."""
    torch.manual_seed(0)
    network = MusiCNN().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.normal_(module.weight)
    return network


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
@torch.inference_mode()
def test_answers_are_those_of_the_original(name, real_weights):
    answer = load_musicnn(real_weights("musicnn")[name])(patches())
    figures = FIGURES[name]
    close = {"rtol": 1e-5, "atol": 1e-4}
    np.testing.assert_allclose(answer.logits.sigmoid()[:, :3], figures["tags"], atol=1e-6)
    np.testing.assert_allclose(answer.hidden[:, :3], figures["hidden"], **close)
    np.testing.assert_allclose(answer.maximum[:, FEATURES], figures["maximum"], **close)
    np.testing.assert_allclose(answer.mean[:, FEATURES], figures["mean"], **close)


def test_shapes_are_those_that_are_told():
    answer = fresh()(patches())
    assert [tuple(part.shape) for part in answer] == [(2, 50), (2, 200), (2, 753), (2, 753)]
    assert answer.pooled.shape == (2, 1506)
    assert all(len(tags) == len(set(tags)) == N_TAGS for tags in TAGS.values())


def test_maximum_and_mean_of_a_feature_stand_side_by_side():
    answer = fresh()(patches())
    assert torch.equal(answer.pooled[:, 0::2], answer.maximum)
    assert torch.equal(answer.pooled[:, 1::2], answer.mean)


def test_pooled_features_are_those_over_time():
    network = fresh()
    features, answer = network.features(patches()), network(patches())
    assert features.shape == (2, 753, 187)
    assert torch.equal(features.amax(dim=2), answer.maximum)


@pytest.mark.parametrize("frames", [1, 50, 187, 400])
def test_patches_of_any_length_are_taken(frames):
    assert fresh().features(torch.zeros(1, frames, 96)).shape == (1, 753, frames)


def test_patches_of_a_batch_do_not_meet():
    network, both = fresh(), patches()
    alone = torch.cat([network(one[None]).logits for one in both])
    assert torch.allclose(network(both).logits, alone, atol=1e-5)


def test_norm_comes_after_relu():
    layer = Layer(1, 1, 1, 1).eval()
    layer.conv.weight.data.fill_(-1)
    layer.conv.bias.data.zero_()
    layer.norm.running_mean.fill_(1)
    assert layer(torch.ones(1, 1, 3, 1)).flatten().tolist() == pytest.approx(
        [-0.9995] * 3, abs=1e-4
    )


def test_an_even_kernel_looks_one_frame_further_ahead():
    layer = Layer(1, 1, 4, 1).eval()
    layer.conv.weight.data.fill_(1)
    layer.conv.bias.data.zero_()
    impulse = torch.zeros(1, 1, 9, 1)
    impulse[0, 0, 4] = 1
    assert layer(impulse).flatten().round().tolist() == [0, 0, 1, 1, 1, 1, 0, 0, 0]


def test_weights_of_another_network_are_refused(tmp_path):
    file = tmp_path / "other.safetensors"
    file.write_bytes(to_safetensors(nn.Linear(2, 2).state_dict()))
    with pytest.raises(ModelError, match=r"other\.safetensors holds no weights of this network"):
        load_musicnn(file)
    with pytest.raises(ModelError, match="holds no weights of this network"):
        load_musicnn(tmp_path / "missing.safetensors")


def test_a_loaded_network_is_frozen(tmp_path):
    file = tmp_path / "w.safetensors"
    file.write_bytes(to_safetensors(fresh().state_dict()))
    network = load_musicnn(file)
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())
    assert torch.equal(network(patches()).logits, fresh()(patches()).logits)
