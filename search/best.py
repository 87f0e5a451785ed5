"""The end of a study: its tables and plots, and the best setting trained again, once."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from statistics import mean
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from genre_mlflow import signals
from genre_mlflow.errors import StudyError
from genre_mlflow.evaluation.gate_settings import HERE, GateSettings
from genre_mlflow.jobs.outcome import Outcome, register_outcome
from genre_mlflow.jobs.promote import promote
from genre_mlflow.jobs.train import train_in_run
from genre_mlflow.options import TrainOptions
from genre_mlflow.tracking.registry import RegisteredModel
from genre_mlflow.tracking.run import FINISHED, RUNNING
from genre_mlflow.tracking.sessions import in_hand
from genre_mlflow.tracking.store import store_errors
from genre_mlflow.training.device import enough_memory
from genre_mlflow.training.observer import Observer
from search.finalists import Finalist, compare_finalists
from search.report import trials_table, write_report
from search.study import DONE, Search
from search.trials import RUN_ID, best_of
from search.worker import POLL_S

FOUND = "finished"  # user attribute of the study

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finished:
    """What a study has found. `final_runs` and what follows are empty without final training.

    `trials`: completed and pruned ones; `finalists`: numbers of those that were compared on folds,
    the best first, and the mean loss of each; accuracies are 0 to 1, the test ones one a seed.
    """

    study: str
    parent_run_id: str
    experiment_id: str
    trials: int
    best_trial: int
    setting: dict[str, Any]
    best_val_loss: float
    best_val_accuracy: float
    first_val_loss: float | None  # of the setting of the command line
    folds: int  # that the finalists were compared on
    asked_finalists: int
    finalists: list[int]
    finalist_losses: list[float]
    final_runs: list[str]
    test_accuracies: list[float]
    test_intervals: list[list[float]]  # low and high of each, 95 %
    n_test: int
    model_name: str
    version: str
    role: str


def finish(search: Search, observer: Observer | None = None) -> Finished | None:
    """End the study, unless other workers still run trials: then the last of them does it.

    Whoever comes while it is being done waits, and does it if that process dies. Raises
    `StudyError` when no trial was completed.
    """
    with only_one(search), store_errors():
        if search.trials(TrialState.RUNNING):
            return None
        if not search.trials(TrialState.COMPLETE):
            raise StudyError(f"study {search.name!r} has no completed trial; start it again")
        before, n_done = remembered(search), len(search.trials(*DONE))
        if before and is_enough(search, before, n_done):
            search.runs.set_status(FINISHED)
            return before
        search.runs.set_status(RUNNING)
        finalists = compare_finalists(search)
        best = finalists[0].trial if finalists else search.study.best_trial
        log_report(search, best)
        if before and enough_seeds(search, before, best):
            found = replace(before, trials=n_done, **compared(search, finalists))
        else:
            found = train_best(search, best, finalists, n_done, observer)
        search.study.set_user_attr(FOUND, asdict(found))
        search.runs.set_status(FINISHED)
    return found


def remembered(search: Search) -> Finished | None:
    """What an earlier call has found and recorded. Raises `StudyError` for another version's."""
    before = search.study.user_attrs.get(FOUND)
    if before is None:
        return None
    if before.keys() != {one.name for one in fields(Finished)}:
        raise StudyError(
            f"study {search.name!r} was ended by another version of genre-mlflow; name another "
            "--study"
        )
    found = Finished(**before)
    if not found.version:
        return found
    return replace(found, role=RegisteredModel(found.model_name).role_of(found.version))


@contextmanager
def only_one(search: Search) -> Iterator[None]:
    """Hold the lock of the study's end; wait for it."""
    said = False
    while True:
        with search.storage.lock_if_free(f"finish {search.name}") as ours:
            if ours:
                yield
                return
        if not said:
            logger.info("Another worker trains the best setting; waiting, in case that it dies")
            said = True
        signals.check()
        time.sleep(POLL_S)


def is_enough(search: Search, before: Finished, n_done: int) -> bool:
    """True when an earlier end of the study speaks of all that is there and all that is asked."""
    request = search.request
    asked = n_done, request.finalists, request.folds if request.finalists else 0
    enough = len(before.final_runs) >= request.final_seeds
    return (before.trials, before.asked_finalists, before.folds) == asked and enough


def enough_seeds(search: Search, before: Finished, best: FrozenTrial) -> bool:
    """True when the best setting has been trained again as often as is asked for."""
    wanted = search.request.final_seeds
    return before.best_trial == best.number and len(before.final_runs) >= wanted


def compared(search: Search, finalists: Sequence[Finalist]) -> dict[str, Any]:
    """The finalists, as `Finished` holds them."""
    return {
        "folds": len(search.folds) if finalists else 0,
        "asked_finalists": search.request.finalists,
        "finalists": [finalist.trial.number for finalist in finalists],
        "finalist_losses": [finalist.loss for finalist in finalists],
    }


def log_report(search: Search, best: FrozenTrial) -> None:
    """Table and plots of all trials into the parent run, and tags with the best one."""
    with search.runs.parent.folder("study") as folder:
        write_report(search.study, folder)
    states = trials_table(search.study)["state"].value_counts()
    tags = {
        "best_trial": str(best.number),
        "best_trial_run_id": str(best.user_attrs.get(RUN_ID, "")),
        "best_val_loss": f"{best.value:.4f}",
        "trials": ", ".join(f"{count} {state}" for state, count in states.items()),
    }
    search.runs.parent.log_tags(tags)


def train_best(
    search: Search,
    best: FrozenTrial,
    finalists: Sequence[Finalist],
    n_done: int,
    observer: Observer | None,
) -> Finished:
    """Train the best setting with each seed, evaluate it on the test set, register the best run."""
    setting = search.space.options(best.params)
    options = search.options.changed(**setting)
    first_seed = options.training.seed
    outcomes = []
    for seed in range(first_seed, first_seed + search.request.final_seeds):
        logger.info("Training the setting of trial %d again, with seed %d", best.number, seed)
        outcomes.append(train_final(search, best.number, options.changed(seed=seed), observer))
    registered = register_best(outcomes) if outcomes else None
    first = search.first_trial()
    found = Finished(
        study=search.name,
        parent_run_id=search.runs.parent.id,
        experiment_id=search.runs.parent.experiment_id,
        trials=n_done,
        best_trial=best.number,
        setting=dict(best.params),
        best_val_loss=best.value or 0.0,
        best_val_accuracy=accuracy_of(best),
        first_val_loss=first.value if first.state == TrialState.COMPLETE else None,
        **compared(search, finalists),
        final_runs=[outcome.run_id for outcome in outcomes],
        test_accuracies=[outcome.metrics["test_accuracy"] for outcome in outcomes],
        test_intervals=[
            [outcome.metrics["test_accuracy_low"], outcome.metrics["test_accuracy_high"]]
            for outcome in outcomes
        ],
        n_test=outcomes[0].n_test if outcomes else 0,
        model_name=search.options.model.model_name,
        version=registered.version if registered else "",
        role=registered.role if registered else "",
    )
    if outcomes:
        tags = {
            "final_runs": ", ".join(found.final_runs),
            "test_accuracy": f"{mean(found.test_accuracies):.4f}",
        }
        if found.version:
            tags["registered"] = f"{found.model_name} {found.version}"
        search.runs.parent.log_tags(tags)
    return found


def accuracy_of(trial: FrozenTrial) -> float:
    """Validation accuracy of the best of a trial, 0 to 1."""
    best = best_of(trial)
    return best.val_accuracy if best else 0.0


def train_final(
    search: Search, trial: int, options: TrainOptions, observer: Observer | None
) -> Outcome:
    """Train a setting again, with all that a training run logs, and evaluate it on the test set.

    A final run of this trial and seed that was cut off is gone on with.
    """
    seed = options.training.seed
    with (
        in_hand(lambda: search.runs.open_final(trial, seed, search.corpus)) as run,
        enough_memory(search.device),
    ):
        return train_in_run(run, options, search.corpus, search.device, observer)


def register_best(outcomes: Sequence[Outcome]) -> Outcome:
    """Register the final run with the least validation loss."""
    return register_outcome(min(outcomes, key=lambda outcome: outcome.metrics["best_val_loss"]))


def promote_best(found: Finished) -> str:
    """Make the registered version the champion if it is shown to be better; say what happened.

    It must answer in this environment: hosts that search may have no network.
    """
    gate = GateSettings(smoke=HERE)
    return promote(found.model_name, version=found.version, gate=gate).message()
