"""What a challenger must show on the test set to become the champion."""

from dataclasses import dataclass

from genre_mlflow.settings import Settings, option


@dataclass(frozen=True)
class GateSettings(Settings):
    """How much better a challenger must be, and what it may lose meanwhile."""

    min_gain: float = option(
        0.0,
        "Points of accuracy that the 95 % interval of the gain must lie above.",
        unit="points",
        low=0,
        high=100,
    )
    max_recall_drop: float = option(
        20.0,
        "Points that no genre's recall may drop by more than, of 10 test tracks or more.",
        unit="points",
        low=0,
        high=100,
    )
    max_calibration_error: float = option(
        1.0,
        "Calibration error that it must not exceed, 0 to 1; 1 allows any.",
        low=0,
        high=1,
    )
