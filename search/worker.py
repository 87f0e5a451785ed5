"""A worker: takes trials from the study one after the other, and looks after the dead ones."""

import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import optuna
from optuna.exceptions import TrialPruned, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from genre_mlflow import signals
from genre_mlflow.errors import ModelError, StudyError, TrainingError
from genre_mlflow.memory import MemoryShortage
from genre_mlflow.settings import as_text
from genre_mlflow.tracking.run import RUNNING
from genre_mlflow.tracking.store import impatient, store_errors
from genre_mlflow.training.observer import Observer
from search.objective import train_setting
from search.storage import MAX_RETRIES, quiet, retry
from search.strategies import make_sampler
from search.study import DONE, Search
from search.trials import (
    ASKED,
    ERROR,
    RUN_ID,
    WORKER,
    WORKER_DIED,
    outcome,
    trial_end,
)

POLL_S = 1.0
MAX_FAILURES = 5  # one after the other, before a study stops
RUN_DELETED = "its run was deleted"

logger = logging.getLogger(__name__)

Objective = Callable[[Search, Trial, Sequence[Observer]], float]


class Worker:
    """One process's share of a study.

    `deadline`: `time.time()` after which no trial is begun; `objective` trains one setting and
    returns its validation loss.
    """

    def __init__(
        self,
        search: Search,
        deadline: float,
        observers: Sequence[Observer] = (),
        objective: "Objective | None" = None,
    ) -> None:
        self.search, self.deadline = search, deadline
        self.observers, self.objective = observers, objective or train_setting
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self.ask_lock = f"ask {search.name}"
        self.running_before: set[int] = set()
        self.failures = 0
        self.begun = False

    def work(self) -> None:
        """Run trials until the study has enough, or time is up.

        While others still run the last ones, stay: theirs may have to be repeated.
        """
        with self.search.storage.errors():
            self.close_runs()
            while True:
                signals.check()
                trial = self.next_trial()
                if trial is not None:
                    self.run(trial)
                elif self.may_be_needed():
                    time.sleep(POLL_S)
                else:
                    break
            self.close_runs()

    def next_trial(self) -> Trial | None:
        """A trial of our own, or None when there is none to begin now.

        Under the lock: on SQLite two workers can take one waiting trial, and only together do
        they not begin more than are asked for.
        """
        study, request = self.search.study, self.search.request
        with self.search.storage.lock(self.ask_lock), quiet():
            self.look_again()
            done, running = len(self.search.trials(*DONE)), len(self.running())
            waiting = self.search.trials(TrialState.WAITING)
            enough = done + running >= request.trials
            grid_is_over = request.sampler == "grid" and not waiting
            if enough or grid_is_over or time.time() >= self.deadline:
                return None
            number = waiting[0].number if waiting else len(self.search.trials())
            seed = request.options.training.seed
            study.sampler = make_sampler(request.sampler, seed, number)
            trial = study.ask()
            self.search.storage.optuna.record_heartbeat(trial._trial_id)
            trial.set_user_attr(WORKER, self.name)
            trial.set_user_attr(ASKED, trial.number)  # last: without it the trial was cut off here
        return trial

    def running(self) -> list[FrozenTrial]:
        """Trials that some worker has begun."""
        return self.search.trials(TrialState.RUNNING)

    def may_be_needed(self) -> bool:
        """True while a trial runs elsewhere that may die; after the deadline, no longer than that
        takes to show.

        What `next_trial` saw under its lock counts: a trial that another worker just now gives up
        and queues once more is seen neither running nor waiting for a moment.
        """
        patience = self.deadline + self.search.storage.grace_s + POLL_S
        return bool(self.running_before) and time.time() < patience

    def look_again(self) -> None:
        """Queue trials once more whose workers are dead. The lock for asking is held."""
        storage = self.search.storage.optuna
        optuna.storages.fail_stale_trials(self.search.study)
        for trial in self.running():
            if trial.user_attrs.get(ASKED) != trial.number:  # cut off before its first sign of life
                storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
                retry(self.search.study, trial)
        now = {trial.number for trial in self.running()}
        gone = self.running_before - now
        self.running_before = now
        if any(t.state == TrialState.FAIL for t in self.search.trials() if t.number in gone):
            self.close_runs()

    def count_failure(self, trial: FrozenTrial) -> None:
        """Give up when one trial after the other fails. Raises `StudyError`."""
        self.failures = self.failures + 1 if trial.state == TrialState.FAIL else 0
        if self.failures == MAX_FAILURES:
            raise StudyError(
                f"{MAX_FAILURES} trials of study {self.search.name!r} failed one after the other, "
                f"the last one with: {trial.user_attrs[ERROR]}"
            )

    def run(self, trial: Trial) -> None:
        """Run one trial and record how it ended, in Optuna and in MLflow."""
        search = self.search
        self.running_before.add(trial.number)
        value, state, failure = None, TrialState.FAIL, None
        try:
            with search.storage.alive(trial._trial_id), store_errors():
                if not self.begun:
                    search.runs.set_status(RUNNING)  # it may have been at its end before
                    self.begun = True
                value = self.objective(search, trial, self.observers)
            state = TrialState.COMPLETE
        except TrialPruned:
            state = TrialState.PRUNED
        except BaseException as error:
            failure = error
        with signals.undisturbed():
            self.end(trial, value, state, failure)

    def end(
        self, trial: Trial, value: float | None, state: TrialState, failure: BaseException | None
    ) -> None:
        """Record how a trial ended. Raises `failure`, unless it is one of this setting or run."""
        search = self.search
        # This setting; another may be trained, and need less memory.
        untrainable = isinstance(failure, TrainingError | MemoryShortage)
        lost = isinstance(failure, ModelError) and self.has_lost_run(trial)
        stopped = None if untrainable or lost else failure
        if search.storage.optuna.get_trial(trial._trial_id).state.is_finished():
            logger.info(
                "trial %d was given to another worker, as if this one were dead", trial.number
            )
            if stopped is not None and not isinstance(stopped, UpdateFinishedTrialError):
                raise stopped
            return
        if untrainable or lost:
            trial.set_user_attr(ERROR, RUN_DELETED if lost else str(failure))
        with search.storage.lock(self.ask_lock):  # so that nobody sees it ended, but not yet queued
            frozen = search.study.tell(trial, value, state, skip_if_finished=True)
            if stopped is not None or lost:
                retry(search.study, frozen, MAX_RETRIES if lost else None)
        if stopped is not None:
            with suppress(ModelError), store_errors(), impatient():
                self.end_run(frozen, type(stopped).__name__)
            raise stopped
        if not lost:
            self.record(frozen)
        logger.info("%s", self.line(frozen))
        self.count_failure(frozen)

    def record(self, trial: FrozenTrial) -> None:
        """The end of a trial in MLflow, and the study's best so far."""
        search = self.search
        with store_errors():
            self.end_run(trial)
            if trial.state in DONE and search.trials(TrialState.COMPLETE):
                search.runs.log_progress(len(search.trials(*DONE)), search.study.best_value)

    def has_lost_run(self, trial: Trial) -> bool:
        """Whether somebody has deleted the run of a trial; False where the store is gone."""
        run_id = trial.user_attrs.get(RUN_ID, "")
        with suppress(ModelError), store_errors():
            return bool(run_id) and self.search.runs.is_lost(run_id)
        return False

    def end_run(self, trial: FrozenTrial, why: str = WORKER_DIED) -> None:
        """Write the end of a trial into its run, if it has begun one."""
        if RUN_ID in trial.user_attrs:
            self.search.runs.end_trial(trial.user_attrs[RUN_ID], trial_end(trial, why))

    def close_runs(self) -> None:
        """End the runs of trials that have ended, but whose worker died before it could say so."""
        with store_errors():
            by_number = {trial.number: trial for trial in self.search.trials()}
            for number, run_id in self.search.runs.open_trials().items():
                trial = by_number.get(number)
                if trial is not None and trial.state.is_finished():
                    self.search.runs.end_trial(run_id, trial_end(trial, WORKER_DIED))

    def line(self, trial: FrozenTrial) -> str:
        """A trial in one line."""
        best_so_far = ""
        if self.search.trials(TrialState.COMPLETE):
            best = self.search.study.best_trial
            best_so_far = f"   best {best.value:.4f} (trial {best.number})"
        setting = ", ".join(f"{n} {as_text(rounded(v))}" for n, v in trial.params.items())
        return f"trial {trial.number:3d}  {outcome(trial):<28}  {setting}{best_so_far}"


def rounded(value: object) -> object:
    """Three digits of a number are enough to read."""
    return float(f"{value:.3g}") if isinstance(value, float) else value
