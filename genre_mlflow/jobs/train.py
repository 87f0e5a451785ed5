"""The whole way of a training: data and epochs; its outcome evaluates and registers it."""

import logging
from collections.abc import Collection
from functools import partial

import torch

from genre_mlflow import signals
from genre_mlflow.corpus.corpus import Corpus, open_corpus
from genre_mlflow.corpus.manifest import conflicting_groups, copied_groups
from genre_mlflow.corpus.settings import DEMO, SPLITS
from genre_mlflow.evaluation.held_out import HeldOut
from genre_mlflow.files.words import counted, few
from genre_mlflow.jobs.description import (
    log_description,
    run_name,
)
from genre_mlflow.jobs.fitting import (
    AGAIN,
    BOTH,
    TAUGHT,
    distil,
    fit_classifier,
    new_classifier,
    refit,
)
from genre_mlflow.jobs.out_of_fold import (
    answers_of_folds,
    are_left,
    check_folds,
    deal_folds,
)
from genre_mlflow.jobs.outcome import Outcome, conclude, register_outcome
from genre_mlflow.jobs.together import Begun, check_processes
from genre_mlflow.jobs.tracks import open_tracks, suited
from genre_mlflow.jobs.unsent import keep_unsent
from genre_mlflow.options import TrainOptions
from genre_mlflow.tracking.observer import check_genres
from genre_mlflow.tracking.outages import unless_gone
from genre_mlflow.tracking.outbox import Outbox, waiting_folder
from genre_mlflow.tracking.run import TrackedRun
from genre_mlflow.tracking.sender import sending
from genre_mlflow.tracking.sessions import checkpoint_folder, find_session
from genre_mlflow.tracking.store import open_store
from genre_mlflow.training.checkpoint import CheckpointFolder
from genre_mlflow.training.device import (
    describe_devices,
    enough_memory,
    keep_freed_memory,
)
from genre_mlflow.training.distributed import here
from genre_mlflow.training.history import best_epoch
from genre_mlflow.training.observer import Observer, Observers, StopBetweenSteps
from genre_mlflow.training.precision import device_for

logger = logging.getLogger(__name__)


def train(
    options: TrainOptions,
    *,
    experiment: str,
    resume: str = "",
    given: Collection[str] = (),
    observer: Observer | None = None,
) -> Outcome:
    """Train, track, evaluate and register a classifier.

    `resume`: id of a run to go on with, whose options are taken; of those, `given` names the ones
    that the user has repeated, which must not differ. Raises `GenreError` for everything that a
    user can mend, before a run is opened where that is possible.
    """
    open_store()
    session = find_session(options, experiment, resume, given)
    options = session.options
    device = device_for(options.training, here().rank)
    check_processes(options, here().rank)
    if needs_start(options, session.run_id):
        options.family.check_start()
    if options.corpus.data == DEMO:
        logger.info("Corpus: the built-in demo (synthesised in seconds, once)")
    corpus = suited(open_corpus(options.corpus, options.split), options)
    check_genres(corpus.genres)
    check_folds(options, corpus)
    session.check_data(corpus.digest, options.family.data_digest())
    with session.opened(run_name(options, corpus)) as run, enough_memory(device):
        here().tell(Begun(run.id if session.owned else "", corpus))
        outcome = train_in_run(run, options, corpus, device, observer)
        signals.check()
        if not outcome.unsent:
            outcome = register_outcome(outcome)
            Outbox(waiting_folder(run.id)).close()
        return outcome


def train_in_run(
    run: TrackedRun,
    options: TrainOptions,
    corpus: Corpus,
    device: torch.device,
    observer: Observer | None = None,
) -> Outcome:
    """What happens while the run is open, but for the registration."""
    keep_freed_memory()
    on = describe_devices(device, here().rank)
    logger.info("%s", describe(run, corpus, on))
    log_description(run, options, corpus, on)
    dealt = deal_folds(options, corpus)
    tracks = open_tracks(corpus, options, SPLITS)
    classifier = new_classifier(options, corpus.genres)
    checkpoints = CheckpointFolder(checkpoint_folder(run.id))
    n_bytes = sum(t.nbytes for t in classifier.network.state_dict().values())
    with sending(run, classifier.config(), options.training.keep, n_bytes) as sender:
        watching = [*([observer] if observer else []), sender, StopBetweenSteps()]
        observers = Observers(watching)
        fitted = fit_classifier(classifier, tracks, options, observers, checkpoints, device)
        classifier.network.load_state_dict(fitted.best_weights)
        final, epoch = classifier, best_epoch(fitted.history).epoch
        finished_ms: int | None = None
        pooled: HeldOut | None = None
        folder = checkpoints.folder
        if options.training.refit:
            epoch = len(fitted.history)
            logger.info(
                "Training again on train and validation together: %s, %s",
                counted(len(tracks[BOTH]), "segment"), counted(epoch, "epoch"),
            )  # fmt: skip
            final, finished_ms = refit(options, corpus.genres, tracks, epoch, folder, device)
            if dealt:
                pooled = answers_of_folds(options, corpus, dealt, epoch, folder, device)
        elif options.training.distil:
            taught = CheckpointFolder(folder / f"{TAUGHT}-{epoch}")
            final, finished_ms = distil(final, options, tracks, taught, device)
        is_sent = sender.flush()
    finished_ms = finished_ms or fitted.history[epoch - 1].finished_ms
    logger.info("Evaluating; the test set is read now, when all is chosen")
    rated = {"train": classifier, "val": classifier, "test": final}
    outcome = None
    if is_sent:
        outcome = unless_gone(
            partial(
                conclude, run, options, corpus, rated, tracks, fitted, epoch, finished_ms, pooled
            )
        )
    if outcome:
        return outcome
    return keep_unsent(run, options, corpus, rated, tracks, fitted, pooled)


def needs_start(options: TrainOptions, run_id: str) -> bool:
    """Whether any of the trainings of a run is still to begin with what its network starts from."""
    if begins(run_id) or (options.training.refit and begins(run_id, AGAIN)):
        return True
    return are_left(options, checkpoint_folder(run_id))


def begins(run_id: str, part: str = "") -> bool:
    """Whether a run, or the training that follows in it, has no checkpoint to go on from."""
    return not CheckpointFolder(checkpoint_folder(run_id) / part).has_state


def describe(run: TrackedRun, corpus: Corpus, device: str) -> str:
    """Three lines about what begins, and what was left out."""
    counts = ", ".join(f"{n} {name}" for name, n in corpus.counts().items())
    copies = copied_groups(corpus.manifest)
    conflicts = conflicting_groups(corpus.manifest)
    lines = [
        f"Run {run.id} ({run.name})",
        f"{corpus.name}: {len(corpus.manifest)} tracks of {len(corpus.genres)} genres ({counts}), "
        f"on {device}",
        f"files: {corpus.formats()}",
    ]
    if copies:
        leaks = len(corpus.split.leaks)
        kept = f"{leaks} of them in two splits" if leaks else "each within one split"
        lines.append(f"{counted(len(copies), 'group')} of copies, {kept}")
    if conflicts:
        few_of_them = few([" = ".join(group) for group in conflicts], "; ")
        lines.append(f"  copies with different genres: {few_of_them}")
    left_out = {name: len(found) for name, found in corpus.notes.items()}
    left_out["files_that_cannot_be_used_left_out"] = len(corpus.bad_files)
    lines += [f"{name.replace('_', ' ')}: {count}" for name, count in left_out.items() if count]
    return "\n".join(lines)
