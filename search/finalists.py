"""Finalists: settings of the best trials, compared on folds of train and validation together."""

import logging
import shutil
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from genre_mlflow.files.words import counted
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
    """The finalists, the best first; one that was measured before is not measured again."""
    found = [Finalist(trial, measure(search, trial)) for trial in finalists_of(search)]
    return sorted(found, key=lambda finalist: finalist.loss)


def measure(search: Search, trial: FrozenTrial) -> float:
    """Mean loss of a trial's setting over the folds; goes on after the last one that is known."""
    n_folds = len(search.folds)
    kept_as = f"finalist {trial.number} on {counted(n_folds, 'fold')}"
    known: FoldResults = search.study.user_attrs.get(kept_as, [])
    if len(known) == n_folds:
        return means(known)[0]
    logger.info("Training the setting of trial %d on %s", trial.number, counted(n_folds, "fold"))

    def report(results: FoldResults) -> None:
        search.study.set_user_attr(kept_as, results)
        loss, accuracy = results[-1]
        logger.info("  fold %d: loss %.4f, accuracy %.1f %%", len(results), loss, 100 * accuracy)

    options = search.options.changed(**search.space.options(trial.params))
    with in_hand(lambda: search.runs.open_finalist(trial.number, n_folds)) as run:
        loss = train_on_folds(search, run, options, [], known, report)
    shutil.rmtree(checkpoint_folder(run.id), ignore_errors=True)
    return loss
