"""Whether a network is compared with the baseline, and how it is told."""

import re

import pytest

from genre_mlflow.cli.base import speaking
from genre_mlflow.cli.messages import beside_baseline
from genre_mlflow.jobs.rivals import MOST_SEGMENTS, is_worth_comparing
from genre_mlflow.options import TrainOptions

WORTH = {"network": "vgg", "colours": "undone", "segments": 100}


@pytest.mark.parametrize(
    ("changes", "is_worth"),
    [
        ({}, True),
        ({"network": "resnet18"}, True),
        ({"segments": MOST_SEGMENTS}, True),
        ({"segments": MOST_SEGMENTS + 1}, False),
        ({"network": "statistics"}, False),
        ({"network": "majority"}, False),
        ({"colours": "kept"}, False),
    ],
)
def test_networks_on_levels_are_compared(changes: dict[str, object], is_worth: bool) -> None:
    asked = {**WORTH, **changes}
    plain = {"stem": "pixels", "statistics_share": 0.0} if asked["colours"] == "kept" else {}
    options = TrainOptions.from_flat({n: asked[n] for n in ("network", "colours")} | plain)
    tracks = {"train": range(asked["segments"])}
    said: list[str] = []
    with speaking(said.append):
        assert is_worth_comparing(options, tracks) is is_worth
    refused = asked["segments"] > MOST_SEGMENTS or asked["colours"] == "kept"
    assert bool(said) is refused


def metrics(gain: float) -> dict[str, float]:
    names = ("gain_over_baseline_low", "gain_over_baseline", "gain_over_baseline_high")
    values = zip(names, (gain - 0.02, gain, gain + 0.02), strict=True)
    return {"baseline_test_accuracy": 0.621, **dict(values)}


@pytest.mark.parametrize(
    ("gain", "ending"),
    [
        (0.034, r"62\.1%: this network has \+3\.4 points \(95 % .* \+1\.4 to \+5\.4\)"),
        (0.0, "It does not beat the baseline: try train --network statistics"),
        (-0.05, "It does not beat the baseline: try train --network statistics"),
    ],
)
def test_a_network_that_does_not_beat_the_baseline_says_so(gain: float, ending: str) -> None:
    line = "\n".join(beside_baseline(metrics(gain)))
    assert re.search(f"{ending}$", line)


def test_nothing_is_said_without_a_comparison() -> None:
    assert beside_baseline({"test_accuracy": 0.5}) == []
