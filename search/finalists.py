"""Finalists: settings of the best trials, compared on folds of train and validation together."""

import logging
import shutil
from dataclasses import dataclass
from math import inf, isfinite

from optuna.trial import FrozenTrial, TrialState

from genre_mlflow.errors import StudyError, TrainingError
from genre_mlflow.files.words import counted
from genre_mlflow.memory import MemoryShortage
from genre_mlflow.tracking.sessions import checkpoint_folder, in_hand
from search.objective import FoldResults, means, train_on_folds
from search.study import Search

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finalist:
    """A trial and the mean validation loss of its setting over the folds."""

    trial: FrozenTrial
    loss: float


def finalists_of(search: Search) -> list[FrozenTrial]:
    """The best trials, as many as are asked for and each of another setting."""
    ranked = sorted(
        search.trials(TrialState.COMPLETE), key=lambda trial: (trial.value, trial.number)
    )
    by_setting: dict[str, FrozenTrial] = {}
    for trial in ranked:
        by_setting.setdefault(str(sorted(trial.params.items())), trial)
    return list(by_setting.values())[: search.request.finalists]


def compare_finalists(search: Search) -> list[Finalist]:
    """The finalists, the best first; one that was measured before is not measured again.

    One that cannot be trained on every fold is left out. Raises `StudyError` if none can.
    """
    trials = finalists_of(search)
    found = [Finalist(trial, measure(search, trial)) for trial in trials]
    able = sorted((one for one in found if isfinite(one.loss)), key=lambda one: one.loss)
    if trials and not able:
        raise StudyError(
            f"no finalist of study {search.name!r} can be trained on its "
            f"{counted(len(search.folds), 'fold')}; what each lacks is said above"
        )
    return able


def measure(search: Search, trial: FrozenTrial) -> float:
    """Mean loss of a trial's setting over the folds, infinite if one of them cannot be trained.

    It goes on after the last fold that is known.
    """
    n_folds = len(search.folds)
    kept_as = f"finalist {trial.number} on {counted(n_folds, 'fold')}"
    done = f"{kept_as}: done"  # last, when its run has been ended, too
    known: FoldResults = search.study.user_attrs.get(kept_as, [])
    if search.study.user_attrs.get(done):
        return means(known)[0] if len(known) == n_folds else inf
    logger.info("Training the setting of trial %d on %s", trial.number, counted(n_folds, "fold"))

    def report(results: FoldResults) -> None:
        search.study.set_user_attr(kept_as, results)
        loss, accuracy = results[-1]
        logger.info("  fold %d: loss %.4f, accuracy %.1f %%", len(results), loss, 100 * accuracy)

    options = search.options.changed(**search.space.options(trial.params))
    loss = inf
    with in_hand(lambda: search.runs.open_finalist(trial.number, n_folds)) as run:
        try:
            loss = train_on_folds(search, run, options, [], known, report)
        except (TrainingError, MemoryShortage) as error:  # as a trial may fail, too
            run.log_tags({"error": str(error)})
            logger.info("  left out: %s", error)
    shutil.rmtree(checkpoint_folder(run.id), ignore_errors=True)
    search.study.set_user_attr(done, True)
    return loss
