"""What a model costs whoever asks it: bytes of weights, time of an answer, memory."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap

from genre_mlflow.evaluation.statistics import CONFIDENCE, Interval

Floats = NDArray[np.float64]

DRAWS = 2000  # of a bootstrap
SLOWEST = 95  # percentile of the latencies


@dataclass(frozen=True)
class Cost:
    """Bytes of weights; milliseconds of answers, one after the other; megabytes of the process.

    Weights of 0, no latencies and a memory of 0 are unknown.
    """

    weights: int = 0
    latencies_ms: tuple[float, ...] = ()
    memory_mb: float = 0.0

    @property
    def p95_ms(self) -> float:
        """Milliseconds within which 95 of 100 answers came."""
        return float(np.percentile(self.latencies_ms, SLOWEST))

    def evidence(self) -> dict[str, str]:
        """What is known of it, by short names."""
        found = {"weights_mb": f"{self.weights / 1e6:.3g}"} if self.weights else {}
        if self.latencies_ms:
            found["p95_latency_ms"] = f"{self.p95_ms:.1f}"
            found["memory_mb"] = f"{self.memory_mb:.0f}"
        return found


UNKNOWN = Cost()


def size_ratio(one: Cost, other: Cost) -> float:
    """Weights of one in those of the other; 1 where one of them is unknown."""
    return one.weights / other.weights if one.weights and other.weights else 1.0


def latency_ratio(one: Cost, other: Cost, seed: int = 0) -> Interval:
    """p95 latency of one over that of the other, with its 95 % interval, by a paired bootstrap.

    Both were asked in turns, so that what slows the machine slows both; pairs of answers are drawn.
    """
    pairs = np.array([one.latencies_ms, other.latencies_ms])

    def ratio(ones: Floats, others: Floats, axis: int) -> Floats:
        return np.asarray(np.percentile(ones, SLOWEST, axis) / np.percentile(others, SLOWEST, axis))

    low, high = bootstrap(
        tuple(pairs), ratio, paired=True, n_resamples=DRAWS, confidence_level=CONFIDENCE,
        method="percentile", rng=np.random.default_rng(seed),
    ).confidence_interval  # fmt: skip
    return Interval(one.p95_ms / other.p95_ms, float(low), float(high), pairs.shape[1])
