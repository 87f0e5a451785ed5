"""A network as an ONNX file, for programs that have neither Python nor torch.

Its packages (the extra `onnx`) are imported in the functions that need them.
"""

import copy
import json
import warnings
from dataclasses import asdict
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from genre_mlflow.errors import ModelError
from genre_mlflow.features.settings import UNDONE
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.family import Family
from genre_mlflow.model.layers import Crops
from genre_mlflow.model.networks import NETWORKS, family, name_of
from genre_mlflow.model.networks.fold_ensemble import FoldEnsemble

OPSET = 20  # the first with all that these networks ask for, such as transforms of Fourier
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
INPUT, LOGITS, PROBABILITIES = "pixels", "logits", "probabilities"
TOLERANCE = 1e-4  # of a probability
ROWS = {
    "mel": "of the highest frequency first", "mfcc": "of the highest coefficient first",
    "chroma": "of pitch class B first, C last",
}  # fmt: skip
VALUES = {
    "mel": "levels, linear in dB: 0 the faintest, 255 the loudest",
    "mfcc": "cepstral coefficients, linear: 0 the least, 255 the greatest of the recording",
    "chroma": "energy of the pitch classes, linear: 0 the least, 255 the greatest of the recording",
}
LEAST_BATCH = 2  # torch takes a batch of one for one that never changes


class Answers(nn.Module):
    """What a file holds: pixels to logits, and to what these are worth at a temperature."""

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.network, self.temperature = network, temperature

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and probabilities, float32 `[B, genres]` each, of uint8 `[B, C, H, W]`."""
        logits: Tensor = self.network(pixels)
        return logits, (logits / self.temperature).softmax(dim=1)


def check_packages() -> None:
    """Raise `ModelError` where the extra is not installed."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise ModelError(
            f"ONNX needs {', '.join(missing)}, which is not installed; "
            "pip install 'genre-mlflow[onnx]' brings it"
        )


def check_exportable(settings: Family) -> None:
    """Raise `ModelError` for a network that others can have from where it was made."""
    one = settings.member if isinstance(settings, FoldEnsemble) else settings
    if one.is_fitted:
        able = ", ".join(name for name in NETWORKS if not family(name).is_fitted)
        raise ModelError(
            f"network {name_of(one)} is fitted, not learnt, and cannot be exported; those that can "
            f"are {able}"
        )


def to_onnx(classifier: Classifier) -> bytes:
    """The file's content; its batch is of any size. Takes half a minute."""
    network = Answers(all_crops_together(classifier.network), classifier.temperature).eval()
    shape = classifier.preprocessing.shape
    some = torch.zeros(LEAST_BATCH, *shape, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of its own ways
        program: Any = torch.onnx.export(
            network, (some,), dynamo=True, verbose=False, opset_version=OPSET,
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            input_names=[INPUT], output_names=[LOGITS, PROBABILITIES],
        )  # fmt: skip
    version = program.model.opset_imports[""]
    if version != OPSET:  # a translation that fails is but a line in torch's log
        raise ModelError(f"torch writes this network in ONNX's opset {version}, not in {OPSET}")
    program.model.metadata_props.update(described(classifier))
    content: bytes = program.model_proto.SerializeToString()
    return content


def all_crops_together(network: nn.Module) -> nn.Module:
    """A twin of a network that never asks how many pictures there are: a graph cannot."""
    twin = copy.copy(network)
    twin._modules = {
        name: one and all_crops_together(one) for name, one in network._modules.items()
    }
    if isinstance(twin, Crops):
        twin.at_once = None
    return twin


def described(classifier: Classifier) -> dict[str, str]:
    """What somebody else needs to know, as texts by name."""
    channels, height, width = classifier.preprocessing.shape
    features, colours = classifier.preprocessing.features, classifier.preprocessing.colours
    return {
        "genres": json.dumps(classifier.genres),
        "preprocessing": json.dumps(asdict(classifier.preprocessing)),
        "input": json.dumps({
            "name": INPUT, "type": "uint8", "shape": ["batch", channels, height, width],
            "axes": f"batch; channels; rows, {ROWS[features]}; columns of time",
            "values": VALUES[features] if colours == UNDONE else "red, green and blue, 0 to 255",
        }),
        "output": json.dumps({
            LOGITS: "before the temperature", PROBABILITIES: "softmax of logits / temperature",
        }),
        "temperature": repr(classifier.temperature),
        "aggregation": classifier.aggregation,
        "network": f"{name_of(classifier.network_settings)}: {classifier.network_settings}",
        "weights_digest": classifier.weights_digest,
        "opset": str(OPSET),
    }  # fmt: skip


def check_onnx(content: bytes, classifier: Classifier, pixels: Tensor) -> float:
    """The largest difference of a probability between file and classifier, on `[B, C, H, W]`.

    One by one, and all together. Raises `ModelError` where it is more than `TOLERANCE`.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    found = [
        torch.from_numpy(session.run([PROBABILITIES], {INPUT: batch.numpy()})[0])
        for batch in (pixels, *pixels.split(1))
    ]
    expected = classifier.probabilities(pixels)
    largest = float((torch.cat(found) - torch.cat([expected, expected])).abs().max())
    if not largest <= TOLERANCE:
        raise ModelError(
            f"the ONNX file answers otherwise than the model: a probability differs by "
            f"{largest:.2g}, allowed are {TOLERANCE:g}; nothing was written"
        )
    return largest
