"""MLflow as an observer of training: every epoch's metrics, confusion matrix and checkpoint."""

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.entities import LoggedModelOutput

from genre_mlflow.evaluation.metrics import recalls
from genre_mlflow.figures.confusion import confusion_figure
from genre_mlflow.figures.image import to_image
from genre_mlflow.model.classifier import CONFIG_FILE, WEIGHTS_FILE
from genre_mlflow.tracking.models import create_model, models_of
from genre_mlflow.tracking.run import TrackedRun
from genre_mlflow.tracking.store import delete_files
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
        self.linked: set[str] = set()  # ids of models that a resumed run has as outputs

    def on_train_begin(self, history: Sequence[EpochResult], epochs: int) -> None:
        """Find the checkpoints that a resumed run has logged before."""
        if history:
            self.history = list(history[:-1])
            self.model_ids = self.logged_epochs()
            self.stored = set(self.model_ids)
            self.linked = self.run.linked_models()
            self.remove_images(history[-1].epoch)

    def on_epoch_end(self, result: EpochResult, weights: Path) -> None:
        """Log the epoch; its metrics come last, when all they point to is there."""
        self.history.append(result)
        matrix = np.array(result.val.confusion)
        self.log_confusion(result, matrix)
        model_id = self.log_checkpoint(result.epoch, weights)
        values = epoch_metrics(result, dict(zip(self.recall_names, recalls(matrix), strict=True)))
        self.run.log_metrics(values, result.epoch, result.finished_ms, model_id)
        self.drop_weights()

    def log_confusion(self, result: EpochResult, matrix: np.ndarray) -> None:
        """The validation confusion matrix as JSON, and as an image with a step."""
        epoch = result.epoch
        table = {"epoch": epoch, "genres": self.genres, "confusion": result.val.confusion}
        self.run.client.log_dict(self.run.id, table, f"confusion/val-epoch-{epoch:04d}.json")
        figure = confusion_figure(matrix, self.genres, f"Validation, epoch {epoch}")
        self.run.client.log_image(
            self.run.id,
            to_image(figure, IMAGE_DPI),
            key=CONFUSION_KEY,
            step=epoch,
            timestamp=result.finished_ms,
        )

    def log_checkpoint(self, epoch: int, weights: Path) -> str:
        """The epoch as a logged model: a folder that `Classifier.load` reads."""
        if epoch not in self.model_ids:
            self.model_ids[epoch] = create_model(
                self.run, epoch_name(epoch), CHECKPOINT_TYPE, epoch
            )
        model_id, client = self.model_ids[epoch], self.run.client
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, CONFIG_FILE).write_text(self.config, encoding="utf-8")
            Path(folder, WEIGHTS_FILE).write_bytes(weights.read_bytes())
            client.log_model_artifacts(model_id, folder)
        client.finalize_logged_model(model_id, "READY")
        if model_id not in self.linked:  # MLflow refuses a second link
            client.log_outputs(self.run.id, [LoggedModelOutput(model_id, step=epoch)])
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
            model_id = self.model_ids[epoch]
            files = [f.path for f in self.run.client.list_logged_model_artifacts(model_id)]
            if WEIGHTS_FILE in files:
                location = self.run.client.get_logged_model(model_id).artifact_location
                delete_files(location, WEIGHTS_FILE)
            self.run.client.delete_logged_model(model_id)
            self.stored.discard(epoch)

    def logged_epochs(self) -> dict[int, str]:
        """Ids of the checkpoints that this run has logged, by epoch."""
        models = models_of(self.run)
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


def metric_names(genres: Sequence[str]) -> list[str]:
    """Genres as MLflow takes them in names: letters, digits, `_`, `-`, `.`, blanks; all differ."""
    names = [NOT_IN_A_NAME.sub("_", genre) for genre in genres]
    return [f"{n}_{i}" if names.count(n) > 1 else n for i, n in enumerate(names)]
