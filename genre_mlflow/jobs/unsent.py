"""A training whose store is gone: what it has reached is kept on this disk, and sent later."""

import logging
from collections.abc import Mapping

from genre_mlflow.corpus.corpus import Corpus
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.evaluation.held_out import HeldOut
from genre_mlflow.features.preprocessing import Preprocessor
from genre_mlflow.jobs.outcome import Outcome, answered, outcome_of
from genre_mlflow.jobs.report import final_metrics, write_figures, write_tables
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.options import TrainOptions
from genre_mlflow.tracking.outbox import Outbox, waiting_folder
from genre_mlflow.tracking.run import TrackedRun
from genre_mlflow.training.history import best_epoch
from genre_mlflow.training.loop import FitResult

RESULTS, MODEL = "results", "model"

logger = logging.getLogger(__name__)


def keep_unsent(
    run: TrackedRun,
    options: TrainOptions,
    corpus: Corpus,
    rated: Mapping[str, Classifier],
    tracks: dict[str, TrackDataset],
    fitted: FitResult,
    pooled: HeldOut | None,
) -> Outcome:
    """Evaluate, and write model, tables and figures beside the epochs that wait.

    It is noted first that the training has ended: `sync` works all of this out again, from the
    checkpoint, so that a full disk here costs the copy alone.
    """
    run.waits = True
    folder, history = waiting_folder(run.id), fitted.history
    Outbox(folder).mark_trained()
    answers = answered(options, corpus, rated, tracks, pooled)
    values = final_metrics(answers.raw, answers.predictions, best_epoch(history))
    values |= answers.metrics()
    try:
        rated["test"].save(folder / RESULTS / MODEL)
        write_tables(folder / RESULTS / "tables", history, answers.predictions)
        preprocessor = Preprocessor(options.preprocessing)
        write_figures(folder / RESULTS / "figures", preprocessor, history, answers.predictions)
    except OSError as error:
        logger.warning("The results are not written here: %s", error.strerror or error)
    return outcome_of(run, options, corpus, answers.predictions, values, "", unsent=str(folder))
