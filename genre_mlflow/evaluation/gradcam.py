"""Where in a spectrogram a convolutional network finds a genre (Selvaraju et al. 2017)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from genre_mlflow.evaluation.explain_settings import GRAD_CAM
from genre_mlflow.memory import out_of_memory
from genre_mlflow.model.classifier import SMALLER, Classifier
from genre_mlflow.model.layers import learnt_part, readers


def class_maps(
    classifier: Classifier, pixels: Tensor, places: Tensor, method: str = GRAD_CAM
) -> Tensor:
    """What speaks for a genre in each picture, float32 `[B, H, W]`, 0 or more, without a unit.

    Parameters
    ----------
    pixels
        Uint8 `[B, C, H, W]`.
    places
        Int64 `[B]`: the place of each picture's genre among the classifier's.
    method
        `grad-cam` (arXiv:1610.02391), which weighs each channel by its mean gradient, or
        `hires-cam` (arXiv:2011.08891), which weighs each cell by its own: the same where a network
        averages its last map, another where it keeps frequencies apart.

    Notes
    -----
    By captum, at the layer that the family of the network declares, brought to the size of the
    picture. The mean over the networks of an ensemble and over the crops that each reads; of a
    network beside fixed statistics it is the network's alone.
    """
    classifier.network.eval()
    device = classifier.device
    name = classifier.network_settings.explained(classifier.preprocessing.shape)
    network, _ = learnt_part(classifier.network)
    # Floats that ask for a gradient, so that frozen layers pass one on.
    given = pixels.to(device).float().requires_grad_()
    sums, counts = given.new_zeros(len(given), *given.shape[2:]), given.new_zeros(given.shape[3])
    # cuDNN's recurrent layers have gradients while they learn alone.
    with out_of_memory(str(device), SMALLER), torch.backends.cudnn.flags(enabled=False):
        for reader, columns in readers(network, given.shape[3]):
            crop = given[..., columns]
            found = layer_map(reader, reader.get_submodule(name), crop, places.to(device), method)
            whole = functional.interpolate(found, crop.shape[2:], mode="bilinear")
            sums[..., columns] += whole[:, 0]
            counts[columns] += 1
    return (sums / counts).cpu()


def layer_map(
    reader: nn.Module, layer: nn.Module, pixels: Tensor, places: Tensor, method: str
) -> Tensor:
    """The map of one network at one layer, float32 `[B, 1, rows, columns]`, 0 or more."""
    from captum.attr import LayerGradCam, LayerGradientXActivation

    if method == GRAD_CAM:
        found = LayerGradCam(reader, layer).attribute(pixels, target=places, relu_attributions=True)
        return found.detach()
    found = LayerGradientXActivation(reader, layer).attribute(pixels, target=places)
    return found.detach().sum(dim=1, keepdim=True).relu()
