"""When a model says that it does not know, in shares of the tracks that were held out."""

from dataclasses import dataclass

from genre_mlflow.settings import Settings, option


@dataclass(frozen=True)
class DoubtSettings(Settings):
    """What thresholds for confidences, genres and foreign sound are to reach on validation."""

    sure_precision: float = option(
        0.9, "Share of a model's sure answers that are to be right; the others are called unsure.",
        above=0, below=1,
    )  # fmt: skip
    set_coverage: float = option(
        0.9, "Share of tracks whose genre is to be among the likely ones.", above=0, below=1
    )
    familiar_share: float = option(
        0.99, "Share of validation tracks that are not to be called foreign.", above=0, high=1
    )
