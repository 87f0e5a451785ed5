"""A model as a file for other programs, checked before it is written."""

from dataclasses import dataclass
from pathlib import Path

import torch

from genre_mlflow.files.atomic import atomic_write
from genre_mlflow.model.onnx_file import (
    OPSET,
    check_exportable,
    check_onnx,
    check_packages,
    to_onnx,
)
from genre_mlflow.tracking.asking import recording
from genre_mlflow.tracking.classifiers import load


@dataclass(frozen=True)
class Exported:
    """What was written: bytes, ONNX's opset, and the largest difference of a probability."""

    n_bytes: int
    opset: int
    difference: float


def export(model: str, out: Path, sample: str) -> Exported:
    """Write the network of a model as ONNX.

    `sample`: a recording or an image to check it with; empty: a song of the demo corpus. Raises
    `ModelError` for a network that cannot be exported, or answers otherwise there, and `DataError`
    for a sample that cannot be read.
    """
    check_packages()
    classifier = load(model)
    check_exportable(classifier.network_settings)
    pixels, _ = classifier.read(sample or recording())
    content = to_onnx(classifier)
    # With silence and noise beside it, which lie at the ends of what statistics can be.
    seeded = torch.Generator().manual_seed(0)
    noise = torch.randint(256, pixels[0].shape, dtype=pixels.dtype, generator=seeded)
    odd = torch.stack([torch.zeros_like(pixels[0]), noise])
    difference = check_onnx(content, classifier, torch.cat([pixels[:2], odd]))
    with atomic_write(out) as file:
        file.write(content)
    return Exported(len(content), OPSET, difference)
