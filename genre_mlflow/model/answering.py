"""Networks made ready to answer, and for nothing else: faster, and equal in what they say.

Batch normalisation is folded into the convolutions before it (as `torch.nn.utils.fusion` does for
one pair), whose weights are laid out channels last. What has weights to save stays as it was.
"""

import copy
from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from genre_mlflow.model.estimators import KernelMachine

RESNETS = "torchvision.models.resnet"  # whose layers stand in the order of their calls, by pairs


def made_to_answer(network: nn.Module) -> nn.Module:
    """A twin of a network that answers as it does when it evaluates, and shares its other weights.

    It does not follow what the network learns later.
    """
    twin = copy.copy(network)
    twin._modules = {
        name: one if one is None else made_to_answer(one) for name, one in network._modules.items()
    }
    twin.training = False
    for conv, norm in folding(twin):
        layer, following = twin._modules[conv], twin._modules[norm]
        assert isinstance(layer, nn.Conv2d) and isinstance(following, nn.BatchNorm2d)
        twin._modules[conv], twin._modules[norm] = folded(layer, following), nn.Identity()
    if isinstance(twin, KernelMachine):
        twin.lengths = twin.squared_lengths()
    return twin


def folding(module: nn.Module) -> Iterator[tuple[str, str]]:
    """Names of the convolutions in a module that a batch norm follows at once, and of that norm."""
    if not isinstance(module, nn.Sequential) and type(module).__module__ != RESNETS:
        return
    for (name, one), (following, other) in pairwise(module._modules.items()):
        if isinstance(one, nn.Conv2d) and isinstance(other, nn.BatchNorm2d):
            yield name, following


def folded(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """One convolution that does what both do."""
    twin = copy.copy(conv)
    twin._parameters = dict(conv._parameters)
    assert norm.running_mean is not None and norm.running_var is not None
    with torch.no_grad():
        weight, bias = fuse_conv_bn_weights(
            conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps,
            norm.weight, norm.bias,
        )  # fmt: skip
    laid_out = weight.detach().contiguous(memory_format=torch.channels_last)
    twin.weight, twin.bias = nn.Parameter(laid_out, False), nn.Parameter(bias.detach(), False)
    return twin
