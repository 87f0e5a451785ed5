"""The network, beside figures of the original.

Those come from `EfficientNet.from_name("efficientnet-lite0")` of the package
efficientnet_lite_pytorch 0.1.0 with the same weights, pixels scaled as `(pixels - 127) / 128`, by
torch 2.13 on the picture that `picture` makes here.
"""

import numpy as np
import pytest
import torch

from genre_mlflow.model.pretrained.efficientnet_lite0 import (
    FEATURE_BLOCKS,
    EfficientNetLite0,
    SameConv,
    load_efficientnet_lite0,
)

FEATURES = {  # the first four channels at row 3, column 5
    4: [-13.56561, 8.776287, -4.445857, 9.651706],
    7: [-1.773761, -9.971417, -13.42542, -11.79875],
    10: [-0.2839013, -3.465706, 11.01319, 4.398363],
    14: [4.437404, -4.624834, -3.96136, -6.049394],
}
LOGITS = [-0.4446705, 0.02496463, -1.39492, -0.3736388]  # of the classes 0, 2, 4 and 6
CLASS = 767


def picture() -> torch.Tensor:
    """Waves in three colours, uint8 `[1, 3, 224, 224]`."""
    c, y, x = np.ogrid[:3, :224, :224]
    waves = 127.5 + 100 * np.sin(x / 9 + y / 13 + c) * np.cos(x * y / 4000)
    return torch.from_numpy(np.floor(waves).astype(np.uint8))[None]


@pytest.mark.slow
@torch.inference_mode()
def test_answers_are_those_of_the_original(real_weights):
    network = load_efficientnet_lite0(real_weights("efficientnet_lite0")["efficientnet_lite0"])
    for block, features in zip(FEATURES, network.features(picture()), strict=True):
        found = features[0, :4, 3, 5]
        np.testing.assert_allclose(found, FEATURES[block], atol=1e-4, err_msg=f"block {block}")
    logits = network(picture())
    np.testing.assert_allclose(logits[0, :8:2], LOGITS, atol=1e-4)
    assert logits.argmax() == CLASS


def test_shapes_are_those_that_are_told():
    network = EfficientNetLite0().eval()
    shapes = [tuple(found.shape[1:]) for found in network.features(picture())]
    assert shapes == [(40, 28, 28), (80, 14, 14), (112, 14, 14), (192, 7, 7)]
    assert network(picture()).shape == (1, 1000)
    assert sum(p.numel() for p in network.parameters()) == 4_652_008


def test_features_come_in_the_order_of_the_blocks():
    network = EfficientNetLite0().eval()
    last, both = network.features(picture(), (2,)), network.features(picture(), (2, 0))
    assert [found.shape[1] for found in both] == [16, 24]
    assert torch.equal(both[1], last[0])
    assert tuple(FEATURES) == FEATURE_BLOCKS


@pytest.mark.parametrize(("size", "first"), [(7, 0.0), (8, 1.0)])
def test_an_even_size_is_padded_at_its_end_alone(size, first):
    conv = SameConv(1, 1, 3, 2, bias=False)
    conv.weight.data.zero_()
    conv.weight.data[..., 0, 0] = 1  # the upper left of what each output sees
    found = conv(torch.ones(1, 1, size, size))
    assert found.shape[2:] == (4, 4)
    assert found[0, 0, 0, 0] == first
