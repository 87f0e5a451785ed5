"""What is asked of a challenger by itself, whoever is the champion: figures, limits, words."""

from genre_mlflow.evaluation.cost import Cost
from genre_mlflow.evaluation.gate_settings import GateSettings

CALIBRATION, LATENCY, MEMORY = "calibration_error", "p95_latency_ms", "memory_mb"
WORDS = {
    CALIBRATION: "its calibration error is {:.3f} ({:g} allowed)",
    LATENCY: "its p95 latency is {:.1f} ms ({:g} allowed)",
    MEMORY: "its memory is {:.0f} MB ({:g} allowed)",
}


def limits(settings: GateSettings) -> dict[str, float]:
    """The most that each figure may be, of those that are limited."""
    stated = {}
    if settings.max_calibration_error < 1:
        stated[CALIBRATION] = settings.max_calibration_error
    if settings.max_latency_ms:
        stated[LATENCY] = settings.max_latency_ms
    if settings.max_memory_mb:
        stated[MEMORY] = settings.max_memory_mb
    return stated


def measured_figures(cost: Cost) -> dict[str, float]:
    """Latency and memory by their names; none where they were not measured."""
    return {LATENCY: cost.p95_ms, MEMORY: cost.memory_mb} if cost.latencies_ms else {}
