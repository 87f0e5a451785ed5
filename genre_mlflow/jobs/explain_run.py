"""The answers of a finished run explained, and kept with it."""

import logging
import tempfile
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from genre_mlflow import signals
from genre_mlflow.data.cache import open_cache
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.errors import DataError, ModelError
from genre_mlflow.evaluation.explain import edges_of, explain, mean_maps, method_for
from genre_mlflow.evaluation.explain_settings import OCCLUSION, ExplainSettings
from genre_mlflow.evaluation.occlusion import (
    EVERY,
    OTHERS,
    band_answers,
    band_table,
    bands_of,
)
from genre_mlflow.evaluation.predictions import (
    by_recording,
    predict_tracks,
    read_predictions,
    worst_mistakes,
)
from genre_mlflow.features.disturbances import Disturbance
from genre_mlflow.features.muting import muted_decoders
from genre_mlflow.figures.bands import bands_figure
from genre_mlflow.figures.explanations import explanation_figure, mean_maps_figure
from genre_mlflow.figures.image import save_figure
from genre_mlflow.figures.robustness import robustness_figure
from genre_mlflow.files.home import home
from genre_mlflow.files.names import file_name
from genre_mlflow.files.words import counted
from genre_mlflow.jobs.card.facts import EXPLANATIONS
from genre_mlflow.jobs.disturbing import disturbed_answers
from genre_mlflow.jobs.report import N_MISTAKES
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.tracking.answers import RUN_PREDICTIONS
from genre_mlflow.tracking.artifacts import check_is_there
from genre_mlflow.tracking.classifiers import load
from genre_mlflow.tracking.models import MODEL_TYPE
from genre_mlflow.tracking.registry import training_manifest
from genre_mlflow.tracking.run import TrackedRun
from genre_mlflow.tracking.sessions import CROSSVAL, NAMES
from genre_mlflow.tracking.store import find_store, store_errors
from genre_mlflow.training.device import choose_device

N_OTHERS = 3  # tracks by which occlusion hides the parts of another
DIGITS = 4  # in tables
SHOWN = 3  # bands and disturbances; all are in the tables

Move = Callable[[str, int, int], None]  # what is done, how much of it, of how much

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Explained:
    """What was found about a run: `bands` and `robustness` are its tables, empty if not made.

    `n_mistakes`: how many of the wrong answers have a picture.
    """

    run: TrackedRun
    n_tracks: int
    n_mistakes: int
    bands: pd.DataFrame
    robustness: pd.DataFrame


@dataclass(frozen=True)
class Explaining:
    """The classifier of a run, and the tracks that it is asked about."""

    classifier: Classifier
    method: str
    rows: pd.DataFrame
    tracks: TrackDataset
    predictions: pd.DataFrame
    move: Move

    def progress(self, what: str) -> Callable[[int, int], None]:
        """How far one part of the work is; a request to stop is honoured there."""

        def tell(done: int, total: int) -> None:
            signals.check()
            self.move(what, done, total)

        return tell


def explain_run(run_id: str, settings: ExplainSettings, device: str, move: Move) -> Explained:
    """Explain the answers of a run's model on one split, and log pictures and tables to the run.

    Nothing is logged before all is made, and the run's status stays as it is. Raises `GenreError`,
    before any long work, for a run without a model, or one whose files are gone.
    """
    place = choose_device(device)
    find_store()
    with store_errors():
        run = find_run(run_id)
        classifier = load(f"models:/{model_of(run)}")
        method = method_for(classifier, settings.method)
        manifest = with_groups(run, training_manifest(run))
    classifier.network.to(place)
    with signals.between_steps():
        job = opened(classifier, method, manifest, settings.split, move)
        with store_errors(), run.folder() as folder:
            found = write_all(run, job, settings, folder)
            signals.check()
    return found


def find_run(run_id: str) -> TrackedRun:
    """The run, which artifacts can be added to. Raises `ModelError`."""
    run = TrackedRun.find(run_id)
    if run.is_deleted:
        raise ModelError(f"run {run_id} was deleted; restore it with: {run.restore_command()}")
    check_is_there(f"run {run_id}", str(run.entity.info.artifact_uri))
    if run.tags.get("task") == CROSSVAL:
        raise ModelError(
            f"run {run_id} ({run.name}) is a {NAMES[CROSSVAL]}, whose model has learnt from all "
            "tracks: none is left to explain its answers on; name a training"
        )
    return run


def model_of(run: TrackedRun) -> str:
    """The id of the model that the run has logged last. Raises `ModelError` where there is none."""
    ready = [model for model in run.models(f" AND name = '{MODEL_TYPE}'")
             if model.status == "READY"]  # fmt: skip
    if not ready:
        raise ModelError(
            f"run {run.id} ({run.name}) has no model: it is no finished training, or one of a "
            "table, which hears no music"
        )
    return str(max(ready, key=lambda model: model.creation_timestamp).model_id)


def with_groups(run: TrackedRun, manifest: pd.DataFrame) -> pd.DataFrame:
    """The tracks in the groups that the run was tested by; a manifest knows copies alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = run.read_artifact(RUN_PREDICTIONS, Path(folder))
        if path is None:
            return manifest
        tested = read_predictions(path)
    groups = dict(zip(tested["track_id"], tested["group"], strict=True))
    known = zip(manifest["track_id"], manifest["group"], strict=True)
    return manifest.assign(group=[groups.get(track, group) for track, group in known])


def opened(
    classifier: Classifier, method: str, manifest: pd.DataFrame, split: str, move: Move
) -> Explaining:
    """The tracks of a split, decoded, and what the classifier says of them."""
    rows = manifest[manifest["split"] == split].reset_index(drop=True)
    if rows.empty:
        raise DataError(f"the run has no tracks in {split}")

    def decoding(done: int, total: int) -> None:
        signals.check()
        move("decoding", done, total)

    cache = open_cache(rows, classifier.preprocessing, home() / "cache", decoding, part_of=manifest)
    tracks = TrackDataset(rows, classifier.genres, cache)
    predictions = predict_tracks(classifier, rows, tracks)
    return Explaining(classifier, method, rows, tracks, predictions, move)


def write_all(
    run: TrackedRun, job: Explaining, settings: ExplainSettings, folder: Path
) -> Explained:
    """All tables and pictures, in a folder as they will lie in the run."""
    for name in (EXPLANATIONS, "tables"):
        (folder / name).mkdir()
    n_mistakes = write_mistakes(job, folder / EXPLANATIONS)
    write_mean_maps(job, folder / EXPLANATIONS)
    bands, robustness = write_bands(job, folder), pd.DataFrame()
    if settings.robustness:
        robustness = write_robustness(job, folder)
    n_tracks = len(by_recording(job.predictions))
    return Explained(run, n_tracks, n_mistakes, bands, robustness)


def write_mistakes(job: Explaining, folder: Path) -> int:
    """The most confident mistakes, each with the maps for its answer and for its genre."""
    worst = worst_mistakes(by_recording(job.predictions), N_MISTAKES)
    tell = job.progress("explaining mistakes")
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(job.tracks), generator=generator)[:N_OTHERS]
    others = job.tracks.gather(order.tolist())[0] if job.method == OCCLUSION else None
    with muted_decoders():
        for number, row in enumerate(worst.to_dict("records")):
            tell(number, len(worst))
            asked = (row["predicted"], row["genre"])
            found = [
                explain(job.classifier, row["path"], g, job.method, others=others) for g in asked
            ]
            title = f"{row['track_id']}, which is {row['genre']}"
            track = file_name(row["track_id"].rsplit("/", 1)[-1])
            name = f"mistake {number + 1:02d} {track}.png"
            save_figure(explanation_figure(title, found), folder / name)
    return len(worst)


def write_mean_maps(job: Explaining, folder: Path) -> None:
    """The mean map of each genre; of networks without convolutions there is none."""
    if job.method == OCCLUSION:
        logger.info("No mean maps, which are made of convolutions")
        return
    maps = mean_maps(job.classifier, job.tracks, job.method, job.progress("mean maps"))
    genres = job.rows["genre"]
    counts = {genre: int((genres == genre).sum()) for genre in maps}
    settings = job.classifier.preprocessing
    figure = mean_maps_figure(maps, counts, settings, edges_of(settings), job.method)
    save_figure(figure, folder / "mean_maps.png")


def write_bands(job: Explaining, folder: Path) -> pd.DataFrame:
    """What hiding each band of frequency costs; nothing where rows are none, or for one track."""
    try:
        bands = bands_of(job.classifier.preprocessing)
        tell = job.progress("hiding bands")
        after = band_answers(job.classifier, job.rows, job.tracks, bands, tell)
    except DataError as error:
        logger.info("No table of bands: %s", error)
        return pd.DataFrame()
    table = band_table(job.predictions, after, bands)
    table.round(DIGITS).to_csv(folder / "tables" / "bands.csv", index=False)
    save_figure(bands_figure(table), folder / EXPLANATIONS / "bands.png")
    return table


def write_robustness(job: Explaining, folder: Path) -> pd.DataFrame:
    """What disturbances change."""
    tell = job.progress("disturbing tracks")
    table = disturbed_answers(job.classifier, job.rows, job.predictions, tell)
    table.round(DIGITS).to_csv(folder / "tables" / "robustness.csv", index=False)
    save_figure(robustness_figure(table), folder / EXPLANATIONS / "robustness.png")
    return table


def important(bands: pd.DataFrame) -> pd.DataFrame:
    """The bands whose loss costs log probability beyond doubt, of all tracks, the dearest first."""
    if bands.empty:
        return bands
    rows = bands[(bands["genre"] == EVERY) & (bands["hidden_by"] == OTHERS)]
    sure = rows[rows["log_probability_drop_low"] > 0]
    return sure.sort_values("log_probability_drop", ascending=False)


def summary(done: Explained) -> str:
    """What was explained, the bands that matter most, and what changes the answers most."""
    drawn = counted(done.n_mistakes, "mistake")
    lines = [f"{counted(done.n_tracks, 'track')} explained, {drawn} drawn"]
    for band in important(done.bands).head(SHOWN).to_dict("records"):
        where = f"{band['low_hz']:,.0f} to {band['high_hz']:,.0f} Hz"
        lines.append(f"  Without {where}: {points(band, 'accuracy_drop', -1)}")
    if not done.robustness.empty:
        for row in done.robustness.nsmallest(SHOWN, "difference").to_dict("records"):
            change = Disturbance(str(row["change"]), int(row["amount"]))
            lines.append(f"  With {change}: {points(row, 'difference')}")
    return "\n".join([*lines, f"In {EXPLANATIONS}, tables and figures of run {done.run.id}"])


def points(row: dict[Hashable, Any], name: str, sign: int = 1) -> str:
    """A difference of accuracies with its interval, in points."""
    mean, low, high = (100 * sign * row[f"{name}{end}"] for end in ("", "_low", "_high"))
    low, high = min(low, high), max(low, high)
    return f"accuracy {mean:+.1f} points (95 % interval {low:+.1f} to {high:+.1f})"
