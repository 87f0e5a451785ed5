"""The whole way: data, training, evaluation, registration; for the command line and the search."""

from collections.abc import Callable, Collection, Sequence

import pandas as pd
import torch
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from genre_mlflow.corpus.corpus import Corpus, open_corpus
from genre_mlflow.corpus.manifest import SPLITS, conflicting_groups, copied_groups
from genre_mlflow.corpus.settings import DEMO
from genre_mlflow.data.cache import open_cache
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.evaluation.predictions import predict_tracks
from genre_mlflow.files.home import home
from genre_mlflow.jobs.description import log_start
from genre_mlflow.jobs.outcome import Outcome, finish, register_outcome
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.options import TrainOptions
from genre_mlflow.tracking import commands
from genre_mlflow.tracking.observer import RunTracker
from genre_mlflow.tracking.run import DatasetName, running
from genre_mlflow.tracking.sessions import checkpoint_folder, find_session, hold
from genre_mlflow.tracking.store import open_store, store_errors
from genre_mlflow.training.checkpoint import CheckpointFolder
from genre_mlflow.training.device import choose_device, describe_device, keep_freed_memory
from genre_mlflow.training.loop import fit
from genre_mlflow.training.observer import Observer, Observers

Say = Callable[[str], None]

DECODED_PER_LINE = 6400  # half a minute on two cores


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
    if options.data == DEMO:
        say("Corpus: the built-in demo (synthesised in seconds, once)")
    corpus = open_corpus(options.data, options.on_bad_file, options.split)
    session.check_data(corpus.digest)
    with store_errors():
        run = session.open(client, f"{corpus.name} seed {options.training.seed}")
        session.check_checkpoint(run)
        run_id = run.info.run_id
        with hold(run_id):
            try:
                with running(client, run_id, owned=session.owned):
                    outcome = train_in_run(client, run, options, corpus, device, observers, say)
                    return register_outcome(client, outcome)
            except (KeyboardInterrupt, OSError, MlflowException):
                say(f"Stopped. Go on with: {commands.resume(run_id, owned=session.owned)}")
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
    """What happens while the run is open, but for the registration."""
    keep_freed_memory()
    say(describe(run, corpus, describe_device(device)))
    log_start(client, run, options, corpus, describe_device(device))
    torch.manual_seed(options.training.seed)
    classifier = make_classifier(options, corpus.genres)
    tracks = open_tracks(corpus, options, SPLITS, say)
    dataset = DatasetName(corpus.name, corpus.digest)
    tracker = RunTracker(client, run, classifier.config(), dataset, options.training.keep)
    fitted = fit(
        classifier, tracks, options.training, Observers([*observers, tracker]),
        checkpoints=CheckpointFolder(checkpoint_folder(run.info.run_id)), device=device,
    )  # fmt: skip
    say("Evaluating the best epoch; the test set is read now, once it is chosen")
    classifier.network.load_state_dict(fitted.best_weights)
    predictions = predict_splits(classifier, corpus, tracks)
    return finish(client, run, options, corpus, classifier, fitted, predictions)


def make_classifier(options: TrainOptions, genres: Sequence[str]) -> Classifier:
    """An untrained classifier."""
    return Classifier(genres, options.network, options.preprocessing, options.aggregate)


def open_tracks(
    corpus: Corpus, options: TrainOptions, splits: Sequence[str], say: Say
) -> dict[str, TrackDataset]:
    """The tensors of these splits; all files are decoded now if they are not in the cache."""

    def announce(done: int, total: int) -> None:
        if done == total or done % DECODED_PER_LINE == 0:
            say(f"Decoded {done} of {total} files, kept for later runs with this input")

    cache = open_cache(corpus.manifest, options.preprocessing, home() / "cache", announce)
    return {name: TrackDataset(corpus.rows(name), corpus.genres, cache) for name in splits}


def predict_splits(
    classifier: Classifier, corpus: Corpus, tracks: dict[str, TrackDataset]
) -> pd.DataFrame:
    """The predictions table of train, val and test."""
    return pd.concat(
        [predict_tracks(classifier, corpus.rows(n), tracks[n]) for n in SPLITS],
        ignore_index=True,
    )


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
        leaks = len(corpus.split.leaks)
        kept = f"{leaks} of them in two splits" if leaks else "each within one split"
        lines.append(f"{len(copies)} groups of copies, {kept}")
    lines += [f"  copies with different genres: {' = '.join(group)}" for group in conflicts]
    return "\n".join(lines)
