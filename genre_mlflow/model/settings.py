"""Settings of a model, beside those of its preprocessor and of its network's family."""

import os
from dataclasses import dataclass

from genre_mlflow.errors import ModelError, SettingsError
from genre_mlflow.model.networks import NETWORKS
from genre_mlflow.settings import Settings, option

CHAMPION = "champion"  # alias of the version that is served
AGGREGATIONS = ("mean", "vote", "max")  # how the answers for a track's segments become one
FORBIDDEN_IN_NAMES = "/:'\"#?%"  # MLflow's addresses and search filters cannot hold them
LONGEST_NAME = 250  # characters; MLflow's own limit is 256


@dataclass(frozen=True)
class ModelSettings(Settings):
    """Which network, how its answers become one, and under what name the model is registered."""

    network: str = option("vgg", "Family of the network.", choices=tuple(NETWORKS), searchable=True)
    aggregate: str = option("mean", "How segments become one answer.", choices=AGGREGATIONS)
    model_name: str = option("genre-classifier", "Registered model to add a version to.")

    def __post_init__(self) -> None:
        super().__post_init__()
        name = self.model_name
        if (
            not 0 < len(name) <= LONGEST_NAME
            or name != name.strip()
            or not name.isprintable()
            or any(c in name for c in FORBIDDEN_IN_NAMES)
        ):
            raise SettingsError(
                f"model_name is {name!r}; allowed are names without "
                f"{' '.join(FORBIDDEN_IN_NAMES)}, of at most {LONGEST_NAME} letters, with no blank "
                "at an end"
            )


def check_reason(force: bool, why: str) -> None:
    """Refuse a forced promotion without a reason, and the reverse. Raises `ModelError`."""
    if force != bool(why):
        raise ModelError("--force and --why TEXT go together: a forced promotion keeps its reason")


def check_model(model: str) -> None:
    """Say at once that a model's folder is missing; whether an address is there, MLflow knows.

    Raises `ModelError`.
    """
    if ":/" not in model and not os.path.isdir(model):
        raise ModelError(f"{model} is no folder; a registered model is written models:/NAME@ALIAS")


CHAMPION_URI = f"models:/{ModelSettings().model_name}@{CHAMPION}"  # served unless told otherwise
