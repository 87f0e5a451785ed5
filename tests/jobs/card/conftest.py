"""What a run knows, without a run."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from support import SMALL

from genre_mlflow.evaluation.predictions import with_answers
from genre_mlflow.jobs.card.facts import RunFacts
from genre_mlflow.options import TrainOptions

SPLITS = ("train", "val", "test")
MakeFacts = Callable[..., RunFacts]


@pytest.fixture(scope="session")
def make_facts() -> MakeFacts:
    """Facts of a run with 4 recordings of 3 segments in each split; of one, two segments are wrong.

    `genres`: all tracks are of the first one; `options` and all else as `RunFacts` has it.
    """

    def make(
        genres: Sequence[str] = ("jazz", "rock"),
        options: dict[str, object] | None = None,
        **more: object,
    ) -> RunFacts:
        table = predictions(genres)
        facts = RunFacts(
            run_id="f00d",
            experiment="test",
            options=TrainOptions.from_flat({**SMALL, "data": "music", **(options or {})}),
            corpus="music",
            digest="d1" * 16,
            manifest=table[["track_id", "genre", "split", "group"]].assign(sha256="00"),
            faults={},
            predictions=table,
            metrics={"baseline_test_accuracy": 0.5},
            tags={
                "formats": "20 FLAC, 16 MP4, 16 of them by ffmpeg 7.1",
                "calibration": "They are calibrated.",
                "test_set_read": "now",
                "model_id": "m-1",
            },
            device="cpu",
            versions={"torch": "2"},
        )
        return replace(facts, **more)

    return make


def predictions(genres: Sequence[str]) -> pd.DataFrame:
    tracks = [f"{split}/{genres[0]}/{i}.seg00{j}"
              for split in SPLITS for i in range(4) for j in range(3)]  # fmt: skip
    rows = pd.DataFrame({"track_id": tracks, "path": tracks, "genre": genres[0], "group": tracks})
    rows["split"] = rows["track_id"].str.split("/").str[0]
    wrong = rows["track_id"].str.contains(r"3\.seg00[01]").to_numpy()
    logits = np.zeros((len(rows), len(genres)), np.float32)
    logits[:, 0], logits[wrong, 0], logits[wrong, 1] = 1, 0, 2
    return with_answers(rows, logits, list(genres))
