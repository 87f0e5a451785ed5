"""What a network has to beat: the statistics baseline on the same tracks."""

import logging
from collections.abc import Mapping

import pandas as pd

from genre_mlflow.baselines.fitting import MOST_SEGMENTS, fit_baseline
from genre_mlflow.corpus.corpus import Corpus
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.evaluation import metrics
from genre_mlflow.evaluation.predictions import by_recording, part, predict_tracks
from genre_mlflow.evaluation.statistics import accuracy_difference
from genre_mlflow.features.settings import MUSICNN, UNDONE
from genre_mlflow.jobs.fitting import BOTH
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.networks.baselines import StatisticsBaseline
from genre_mlflow.options import TrainOptions

BASELINE = "baseline_test_accuracy"
GAIN = "gain_over_baseline"  # and `_low`, `_high`

logger = logging.getLogger(__name__)


def is_worth_comparing(options: TrainOptions, tracks: Mapping[str, TrackDataset]) -> bool:
    """Whether a baseline is fitted beside the network: it has levels to read, and not too many."""
    if options.family.is_baseline:
        return False
    if options.preprocessing.features == MUSICNN:
        logger.info("Not compared with the statistics baseline, which reads pictures")
        return False
    if options.preprocessing.colours != UNDONE:
        logger.info("Not compared with the statistics baseline, which needs --colours undone")
        return False
    if len(tracks["train"]) > MOST_SEGMENTS:
        logger.info(
            "Not compared with the statistics baseline: %d segments to train on, more than %d",
            len(tracks["train"]), MOST_SEGMENTS,
        )  # fmt: skip
        return False
    return True


def baseline_predictions(
    options: TrainOptions, corpus: Corpus, tracks: Mapping[str, TrackDataset]
) -> pd.DataFrame:
    """What the statistics baseline, fitted to the same tracks, says of the test set."""
    rival = Classifier(
        corpus.genres, StatisticsBaseline(), options.preprocessing, options.model.aggregate
    )
    fit_baseline(rival, tracks[BOTH if options.training.refit else "train"])
    return predict_tracks(rival, corpus.grouped_rows("test"), tracks["test"])


def gain_over_baseline(predictions: pd.DataFrame, baseline: pd.DataFrame) -> dict[str, float]:
    """Metrics of a comparison on the test set: the baseline's accuracy, and what is better by.

    The gain, -1 to 1, has a 95 % interval over tracks.
    """
    test = part(predictions, "test")
    values = {BASELINE: metrics.accuracy(by_recording(baseline))}
    if len(by_recording(test)) > 1:
        gain = accuracy_difference([test], [baseline])
        values |= {GAIN: gain.mean, f"{GAIN}_low": gain.low, f"{GAIN}_high": gain.high}
    return values
