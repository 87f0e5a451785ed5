"""The whole way: data, training, evaluation, registration; for the command line and the search."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from mlflow import MlflowClient
from mlflow.entities import Run

from genre_mlflow.corpus.datasets import TrackDataset, open_cache
from genre_mlflow.corpus.demo import make_demo
from genre_mlflow.corpus.manifest import SPLITS, conflicting_groups, copied_groups, scan
from genre_mlflow.corpus.splits import split
from genre_mlflow.evaluation.predictions import part, predict_tracks
from genre_mlflow.files import home
from genre_mlflow.mlops.options import DEMO, TrainOptions
from genre_mlflow.mlops.registry import CHAMPION, TEST_DIGEST, find_alias, register
from genre_mlflow.mlops.results import (
    Corpus,
    final_metrics,
    log_final_metrics,
    log_results,
    log_start,
)
from genre_mlflow.mlops.runs import checkpoint_folder, find_session, hold
from genre_mlflow.mlops.serving import MODEL_TYPE, log_classifier
from genre_mlflow.mlops.store import open_store, store_errors
from genre_mlflow.mlops.tracking import RunTracker, log_tags, running
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.training.checkpoint import CheckpointFolder
from genre_mlflow.training.device import choose_device, describe_device, keep_freed_memory
from genre_mlflow.training.history import EpochResult, best_epoch
from genre_mlflow.training.loop import FitResult, Observer, fit

Say = Callable[[str], None]

DECODED_PER_LINE = 6400  # half a minute on two cores


@dataclass(frozen=True)
class Outcome:
    """What a training run reached."""

    run_id: str
    model_name: str
    version: str
    champion: str  # version that is served
    n_genres: int
    n_test: int
    metrics: dict[str, float]


def load_corpus(options: TrainOptions, say: Say = lambda line: None) -> Corpus:
    """Scan and split the folder of the options; `demo` is made first where it is missing."""
    if options.data == DEMO:
        say("Corpus: the built-in demo (synthesised in seconds, once)")
        folder = make_demo(home() / "demo")
    else:
        folder = Path(options.data)
    scanned = scan(folder, options.on_bad_file)
    name = DEMO if options.data == DEMO else folder.absolute().name
    dealt = split(scanned.manifest, options.split)
    return Corpus(name, folder.absolute(), dealt, scanned.bad_files)


def train(
    options: TrainOptions,
    *,
    experiment: str,
    resume: str = "",
    given: Collection[str] = (),
    observers: Sequence[Observer] = (),
    say: Say = lambda line: None,
) -> Outcome:
    """Train, track, evaluate and register a classifier.

    `resume`: id of a run to go on with, whose options are taken; of those, `given` names the ones
    that the user has repeated, which must not differ. Raises `GenreError` for everything that a
    user can mend, before a run is opened where that is possible.
    """
    client = open_store()
    session = find_session(client, options, experiment, resume, given)
    options = session.options
    device = choose_device(options.device)
    make_classifier(options, ["any", "other"])  # refuse now what cannot be built
    corpus = load_corpus(options, say)
    session.check_data(corpus.dataset.digest)
    with store_errors():
        run = session.open(client, f"{corpus.name} seed {options.training.seed}")
        session.check_checkpoint(run)
        try:
            with hold(run.info.run_id), running(client, run.info.run_id, owned=session.owned):
                return train_in_run(client, run, options, corpus, device, observers, say)
        except BaseException:
            say(f"Stopped. Go on with: genre-mlflow train --resume {run.info.run_id}")
            raise


def train_in_run(
    client: MlflowClient,
    run: Run,
    options: TrainOptions,
    corpus: Corpus,
    device: torch.device,
    observers: Sequence[Observer],
    say: Say,
) -> Outcome:
    """What happens while the run is open."""
    keep_freed_memory()
    say(describe(run, corpus, describe_device(device)))
    log_start(client, run, options, corpus, describe_device(device))
    torch.manual_seed(options.training.seed)
    classifier = make_classifier(options, corpus.genres)
    tracks = open_tracks(corpus, options, say)
    tracker = RunTracker(client, run, classifier.config(), corpus.dataset, options.training.keep)
    fitted = fit(
        classifier.network,
        tracks["train"],
        tracks["val"],
        options.training,
        n_genres=len(corpus.genres),
        device=device,
        checkpoints=CheckpointFolder(checkpoint_folder(run.info.run_id)),
        observers=[*observers, tracker],
    )
    say("Evaluating the best epoch; the test set is read now, for the first time")
    classifier.network.load_state_dict(fitted.best_weights)
    predictions = predict_splits(classifier, corpus, tracks)
    return finish(client, run, options, corpus, classifier, fitted, predictions)


def make_classifier(options: TrainOptions, genres: Sequence[str]) -> Classifier:
    """An untrained classifier."""
    return Classifier(genres, options.network, options.preprocessing)


def open_tracks(corpus: Corpus, options: TrainOptions, say: Say) -> dict[str, TrackDataset]:
    """The tensors of each split, decoded now if they are not in the cache."""

    def announce(done: int, total: int) -> None:
        if done == total or done % DECODED_PER_LINE == 0:
            say(f"Decoded {done} of {total} images, once for all runs")

    cache = open_cache(corpus.manifest, options.preprocessing, home() / "cache", announce)
    return {
        name: TrackDataset(part(corpus.manifest, name), corpus.genres, cache) for name in SPLITS
    }


def predict_splits(
    classifier: Classifier, corpus: Corpus, tracks: dict[str, TrackDataset]
) -> pd.DataFrame:
    """The predictions table of train, val and test."""
    return pd.concat(
        [predict_tracks(classifier, part(corpus.manifest, n), tracks[n]) for n in SPLITS],
        ignore_index=True,
    )


def finish(
    client: MlflowClient,
    run: Run,
    options: TrainOptions,
    corpus: Corpus,
    classifier: Classifier,
    fitted: FitResult,
    predictions: pd.DataFrame,
) -> Outcome:
    """Log results and model, and register it; a run killed in here repeats it without doubles."""
    best = best_epoch(fitted.history)
    values = final_metrics(predictions, best)
    log_results(client, run, options, corpus, fitted.history, predictions)
    classifier.network.cpu()
    model_id = find_model(client, run, best) or log_classifier(client, run, classifier, best.epoch)
    log_final_metrics(client, run.info.run_id, values, best, model_id, corpus.dataset)
    tags = {
        TEST_DIGEST: corpus.test_digest,
        "test_accuracy": f"{values['test_accuracy']:.4f}",
        "corpus": corpus.name,
    }
    version = register(client, model_id, options.model_name, tags)
    champion = find_alias(client, options.model_name, CHAMPION)
    log_tags(client, run.info.run_id, {"registered": f"{version.name} {version.version}"})
    return Outcome(
        run.info.run_id,
        options.model_name,
        str(version.version),
        str(champion.version) if champion else "",
        len(corpus.genres),
        len(part(predictions, "test")),
        values,
    )


def find_model(client: MlflowClient, run: Run, best: EpochResult) -> str | None:
    """The model of this epoch that a run has logged before it was killed; a half one is deleted."""
    found = client.search_logged_models(
        experiment_ids=[run.info.experiment_id],
        filter_string=f"source_run_id = '{run.info.run_id}' AND name = '{MODEL_TYPE}'",
    )
    for model in found:
        if model.status != "READY":
            client.delete_logged_model(model.model_id)
    ours = [m for m in found if m.status == "READY" and m.params["epoch"] == str(best.epoch)]
    return str(ours[0].model_id) if ours else None


def describe(run: Run, corpus: Corpus, device: str) -> str:
    """Two lines about what begins."""
    counts = ", ".join(f"{n} {name}" for name, n in corpus.counts().items())
    copies = copied_groups(corpus.manifest)
    conflicts = conflicting_groups(corpus.manifest)
    lines = [
        f"Run {run.info.run_id} ({run.info.run_name})",
        f"{corpus.name}: {len(corpus.manifest)} tracks of {len(corpus.genres)} genres ({counts}), "
        f"on {device}",
    ]
    if copies:
        lines.append(f"{len(copies)} groups of copies, each kept within one split")
    lines += [f"  copies with different genres: {' = '.join(group)}" for group in conflicts]
    return "\n".join(lines)
