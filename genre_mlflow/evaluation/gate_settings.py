"""What a challenger must show to become the champion."""

from dataclasses import dataclass

from genre_mlflow.settings import Settings, option

ACCEPT = BETTER, LIGHTER = "better", "lighter"
SMOKE = FRESH, HERE = "fresh", "here"


@dataclass(frozen=True)
class GateSettings(Settings):
    """How much better a challenger must be, what it may lose and cost, and where it must answer."""

    accept: str = option(
        BETTER,
        "What passes: a better one; with lighter also one that is not worse and smaller or faster.",
        choices=ACCEPT,
    )
    min_gain: float = option(
        0.0,
        "Points of accuracy that the 95 % interval of the gain must lie above.",
        unit="points",
        low=0,
        high=100,
    )
    margin: float = option(
        2.0,
        "Points that a lighter one may be worse by: the interval must lie above minus these.",
        unit="points",
        low=0,
        high=100,
    )
    min_saving: float = option(
        10.0,
        "Percent of weights (bytes) or of p95 latency that a lighter one must save.",
        unit="percent",
        low=0,
        below=100,
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
    max_latency_ms: float = option(
        0.0,
        "Milliseconds within which 95 of 100 answers to a recording of 30 s must come; 0: any.",
        unit="ms",
        low=0,
    )
    max_memory_mb: float = option(
        0.0,
        "Megabytes that a process that loads it and answers may take at most; 0: any.",
        unit="MB",
        low=0,
    )
    smoke: str = option(
        FRESH,
        "Where it must answer a request: in a fresh environment of its own requirements, which uv "
        "installs, or here, for a machine without network.",
        choices=SMOKE,
    )
