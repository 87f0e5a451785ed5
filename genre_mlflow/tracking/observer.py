"""MLflow as an observer of training: every epoch's metrics, confusion matrix and checkpoint."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.utils.validation import MAX_ENTITY_KEY_LENGTH

from genre_mlflow.errors import DataError
from genre_mlflow.evaluation.metrics import recalls
from genre_mlflow.figures.confusion import confusion_figure
from genre_mlflow.figures.image import to_image
from genre_mlflow.model.classifier import CONFIG_FILE, WEIGHTS_FILE
from genre_mlflow.tracking.run import TrackedRun
from genre_mlflow.training.history import EpochResult, best_epoch
from genre_mlflow.training.observer import Observer

CONFUSION_KEY = "val_confusion"
CHECKPOINT_TYPE = "checkpoint"
NOT_IN_A_NAME = re.compile(r"[^\w. -]")  # what MLflow refuses, and the slash, which makes groups
IMAGE_DPI = 72


class RunTracker(Observer):
    """Writes each epoch into a run.

    Everything an epoch logs has a name of its own and the epoch's own time, so that logging the
    last epoch of a resumed run again changes nothing that is there already.
    """

    def __init__(self, run: TrackedRun, classifier_config: Mapping[str, Any], keep: str) -> None:
        self.run, self.keep = run, keep
        self.config = json.dumps(classifier_config, indent=2)
        self.genres: list[str] = list(classifier_config["genres"])
        self.recall_names = [f"val_recall/{name}" for name in metric_names(self.genres)]
        self.history: list[EpochResult] = []
        self.model_ids: dict[int, str] = {}
        self.stored: set[int] = set()  # epochs whose weights lie in the store

    def on_train_begin(self, history: Sequence[EpochResult], epochs: int) -> None:
        """Find the checkpoints that a resumed run has logged before."""
        if history:
            self.history = list(history[:-1])
            self.model_ids = self.logged_epochs()
            self.stored = set(self.model_ids)
            self.remove_images(history[-1].epoch)

    def on_epoch_end(self, result: EpochResult, weights: Path) -> None:
        """Log the epoch; its metrics come last, when all they point to is there.

        Weights that are not there, for want of room while they waited, make no checkpoint.
        """
        self.history.append(result)
        matrix = np.array(result.val.confusion)
        self.log_confusion(result, matrix)
        model_id = self.log_checkpoint(result.epoch, weights) if weights.exists() else None
        if best_epoch(self.history) is result:
            # At step 0: MLflow copies what a run has at the step of its model to that model, which
            # may be another network's (`--refit`); the end of the run has a later one.
            self.run.log_metrics(best_metrics(result), 0, result.finished_ms)
        values = epoch_metrics(result, dict(zip(self.recall_names, recalls(matrix), strict=True)))
        self.run.log_metrics(values, result.epoch, result.finished_ms, model_id)
        self.drop_weights()

    def log_confusion(self, result: EpochResult, matrix: np.ndarray) -> None:
        """The validation confusion matrix as JSON, and as an image with a step."""
        epoch = result.epoch
        table = {"epoch": epoch, "genres": self.genres, "confusion": result.val.confusion}
        self.run.log_json(table, f"confusion/val-epoch-{epoch:04d}.json")
        figure = confusion_figure(matrix, self.genres, f"Validation, epoch {epoch}")
        image = to_image(figure, IMAGE_DPI)
        self.run.log_image(image, CONFUSION_KEY, epoch, result.finished_ms)

    def log_checkpoint(self, epoch: int, weights: Path) -> str:
        """The epoch as a logged model: a folder that `Classifier.load` reads."""
        if epoch not in self.model_ids:
            name = epoch_name(epoch)
            self.model_ids[epoch] = self.run.create_model(name, CHECKPOINT_TYPE, epoch)
        model_id = self.model_ids[epoch]
        with self.run.model_folder(model_id) as folder:
            (folder / CONFIG_FILE).write_text(self.config, encoding="utf-8")
            (folder / WEIGHTS_FILE).write_bytes(weights.read_bytes())
        self.run.finish_model(model_id, epoch)
        self.stored.add(epoch)
        return model_id

    def drop_weights(self) -> None:
        """Delete the weights of all epochs but the best and the last, and hide their entries.

        In the UI they would bury the model that counts; what they reached is in the run's metrics.
        """
        if self.keep == "all":
            return
        kept = {best_epoch(self.history).epoch, self.history[-1].epoch}
        for epoch in sorted(self.stored - kept):
            self.run.drop_model_file(self.model_ids[epoch], WEIGHTS_FILE)
            self.run.hide_model(self.model_ids[epoch])
            self.stored.discard(epoch)

    def logged_epochs(self) -> dict[int, str]:
        """Ids of the checkpoints that this run has logged, by epoch."""
        models = self.run.models()
        return {
            int(model.params["epoch"]): model.model_id
            for model in models
            if model.model_type == CHECKPOINT_TYPE
        }

    def remove_images(self, epoch: int) -> None:
        """Images have names of chance, so that a second one would not replace the first."""
        image = re.compile(rf"images/{CONFUSION_KEY}[%+]step[%+]{epoch}[%+]")
        for path in self.run.artifacts("images"):
            if image.match(path):
                self.run.delete_artifact(path)


def epoch_name(epoch: int) -> str:
    """Name of an epoch's logged model."""
    return f"epoch-{epoch:04d}"


def epoch_metrics(result: EpochResult, recall: Mapping[str, float]) -> dict[str, float]:
    """Everything measured in an epoch, by its name in MLflow."""
    values = {
        "train_loss": result.train.loss,
        "train_accuracy": result.train.accuracy,
        "val_loss": result.val.loss,
        "val_accuracy": result.val.accuracy,
        "lr": result.lr,
        "epoch_seconds": result.seconds,
        "images_per_s": result.images_per_s,
    }
    return values | {name: float(value) for name, value in recall.items()}


def best_metrics(result: EpochResult) -> dict[str, float]:
    """The best epoch so far, for the columns of the UI's table, which show the last values.

    A run that is killed keeps them; one that ends measures these weights once more.
    """
    return {
        "best_epoch": result.epoch,
        "best_val_loss": result.val.loss,
        "best_val_accuracy": result.val.accuracy,
    }


def check_genres(genres: Sequence[str]) -> None:
    """Refuse genres whose metrics would have names that MLflow refuses. Raises `DataError`."""
    most = MAX_ENTITY_KEY_LENGTH - len(f"best_val_recall/_{len(genres)}")
    for genre in genres:
        if len(genre) > most:
            raise DataError(
                f"the genre {genre[:20]!r}... has {len(genre)} letters; MLflow's names of metrics "
                f"hold {most}: rename its folder"
            )


def metric_names(genres: Sequence[str]) -> list[str]:
    """Genres as MLflow takes them in names: letters, digits, `_`, `-`, `.`, blanks; all differ."""
    names = [NOT_IN_A_NAME.sub("_", genre) for genre in genres]
    return [f"{n}_{i}" if names.count(n) > 1 else n for i, n in enumerate(names)]
