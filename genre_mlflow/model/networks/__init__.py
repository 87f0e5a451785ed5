"""The families of networks, by name. Neither this list nor a family's settings import torch.

A family is one file: a settings dataclass that declares its options and builds the network. To add
one, write its file and name it in `NETWORKS`.
"""

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genre_mlflow.model.family import Family

NETWORKS = {
    "vgg": "genre_mlflow.model.networks.vgg:VGG",
    "crnn": "genre_mlflow.model.networks.crnn:CRNN",
    "resnet18": "genre_mlflow.model.networks.image_networks:ResNet18",
    "resnet34": "genre_mlflow.model.networks.image_networks:ResNet34",
    "efficientnet_b0": "genre_mlflow.model.networks.image_networks:EfficientNetB0",
    "mobilenet_v3_small": "genre_mlflow.model.networks.image_networks:MobileNetV3Small",
    "efficientnet_lite0": "genre_mlflow.model.networks.pretrained:PhotographFeatures",
    "musicnn": "genre_mlflow.model.networks.pretrained:MusicFeatures",
    "pretrained": "genre_mlflow.model.networks.pretrained:AllFeatures",
    "statistics": "genre_mlflow.model.networks.baselines:StatisticsBaseline",
    "csv": "genre_mlflow.model.networks.baselines:TableBaseline",
    "majority": "genre_mlflow.model.networks.baselines:MajorityBaseline",
}

# Made of networks that are trained already, so no training names them.
COMPOSED = {"fold-ensemble": "genre_mlflow.model.networks.fold_ensemble:FoldEnsemble"}
KNOWN = {**NETWORKS, **COMPOSED}


@cache
def family(name: str) -> "type[Family]":
    """The settings class of a family, which makes its networks."""
    module, _, factory = KNOWN[name].partition(":")
    found: type[Family] = getattr(import_module(module), factory)
    return found


def name_of(settings: "Family") -> str:
    """The name of the family that these settings are of."""
    return next(name for name in KNOWN if family(name) is type(settings))
