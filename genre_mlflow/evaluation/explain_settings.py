"""How answers are explained."""

from dataclasses import dataclass

from genre_mlflow.settings import Settings, option

GRAD_CAM, HIRES_CAM, OCCLUSION = METHODS = ("grad-cam", "hires-cam", "occlusion")
AUTO = "auto"


@dataclass(frozen=True)
class ExplainSettings(Settings):
    """By what method, and what of a run."""

    method: str = option(
        AUTO, "grad-cam, or hires-cam, which weighs each cell for itself, of a convolutional "
        "network; occlusion of any: what hiding a cell costs. auto: grad-cam where it can be had.",
        choices=(AUTO, *METHODS),
    )  # fmt: skip
    split: str = option("test", "With --run, the tracks to explain.", choices=("test", "val"))
    robustness: bool = option(
        False, "With --run, also what gain, noise, stretching, MP3, ... change; of recordings "
        "seconds a track.",
    )  # fmt: skip
