"""Registered versions whose answers to the test set are made up, in a real store."""

import mlflow
import numpy as np
import pandas as pd

from genre_mlflow.evaluation.predictions import with_answers
from genre_mlflow.tracking.experiments import experiment_id
from genre_mlflow.tracking.models import log_predictions
from genre_mlflow.tracking.registry import RegisteredModel
from genre_mlflow.tracking.run import TrackedRun

NAME, GENRES, TRACKS = "gated", ("jazz", "rock"), 40


def answers(*right: int) -> pd.DataFrame:
    """Test predictions, of each genre's tracks the first so many right."""
    ids = [f"{genre}/{i}" for genre in GENRES for i in range(TRACKS)]
    said = [(place + (i >= n)) % 2 for place, n in enumerate(right) for i in range(TRACKS)]
    rows = pd.DataFrame({"track_id": ids, "path": ids, "split": "test", "group": ids})
    rows["genre"] = [track.partition("/")[0] for track in ids]
    return with_answers(rows, np.eye(2, dtype=np.float32)[said], GENRES)


def register(*right: int, digest: str = "same", **tags: str) -> str:
    """The number of a new version with these answers; the first is the champion."""
    run = TrackedRun.create(experiment_id("gate"), "answers", {})
    model = mlflow.initialize_logged_model("answers", source_run_id=run.id)
    log_predictions(run, model.model_id, answers(*right))
    mlflow.finalize_logged_model(model.model_id, "READY")
    found = RegisteredModel(NAME).register(
        model.model_id, {"test_digest": digest, **tags}, "What it is.\n\nAnd what not."
    )
    return str(found.version)


def champion() -> str:
    """The number of the version that is the champion now."""
    found = RegisteredModel(NAME).find("champion")
    return str(found.version) if found else ""
