"""The command `crossval`."""

from typing import TYPE_CHECKING, Any

import click

from genre_mlflow.cli.base import OneLineErrors, echo, quiet_mlflow, speaking
from genre_mlflow.cli.options import (
    EXPERIMENT_OPTION,
    TRAIN_OPTIONS,
    is_given,
    options,
    options_from,
    train_options,
)
from genre_mlflow.jobs.crossval_settings import CrossvalSettings, WorkerSettings
from genre_mlflow.settings import options_of

if TYPE_CHECKING:
    from genre_mlflow.jobs.crossval import Crossval


@click.command(cls=OneLineErrors)
@options([*options_from(CrossvalSettings), *options_from(WorkerSettings), *TRAIN_OPTIONS])
@EXPERIMENT_OPTION
@click.option(
    "--resume", default="", metavar="RUN_ID",
    help="Go on with a run that was stopped, with its own options; folds that are done stay.",
)  # fmt: skip
@click.pass_context
def crossval(
    ctx: click.Context,
    /,
    folds: int,
    repeats: int,
    final: str,
    workers: int,
    experiment: str,
    resume: str,
    **values: Any,
) -> None:
    """Measure a training on all tracks, each by a classifier that has not seen it.

    Tracks are dealt to folds by whole groups (artists, with --groups), those of a split's test set
    too; each fold is answered for by what was trained on the others. No model is registered, unless
    --final asks for one.
    """
    settings, workers = CrossvalSettings(folds, repeats, final), WorkerSettings(workers).workers
    trained = train_options(ctx, values)
    if not resume:
        settings.options_of(trained)
        settings.check_workers(workers)
        trained.check_folders()  # before the seconds of the imports
    from rich.console import Console

    from genre_mlflow.cli.bars import Bar
    from genre_mlflow.jobs.crossval import crossval as cross_validate

    quiet_mlflow()
    given = {name for name in (*values, *options_of(CrossvalSettings)) if is_given(ctx, name)}
    with Bar(Console()) as bar, speaking(bar.say):
        found = cross_validate(
            trained, settings, experiment=experiment, resume=resume, given=given, observer=bar,
            workers=workers,
        )  # fmt: skip
    echo(summary(found))


def summary(found: "Crossval") -> str:
    """Accuracy with its intervals, the run, and how to look at it."""
    from genre_mlflow.cli.messages import look_at, role, serve_it

    m = found.metrics
    lines = [
        "",
        f"Accuracy {share(m, 'accuracy')}, macro F1 {number(m, 'macro_f1')}, log loss "
        f"{number(m, 'loss')}",
        f"on {found.n_recordings} recordings; the 95 % intervals are over {found.n_groups} groups",
        f"{found.settings.folds} folds: mean {m['mean_fold_accuracy']:.1%}, lowest "
        f"{m['lowest_fold_accuracy']:.1%}",
    ]
    if "calibration_error_before" in m:
        lines.append(
            f"Calibration error {number(m, 'calibration_error')} with a temperature from the other "
            f"folds, {m['calibration_error_before']:.3f} without"
        )
    if found.settings.repeats > 1:
        lines.append(
            f"{found.settings.repeats} repeats: 95 % t interval of the accuracy "
            f"{m['over_repeats_low']:.1%} to {m['over_repeats_high']:.1%}"
        )
    if found.registered is None:
        lines += [f"Run {found.run_id}, nothing registered: --final makes a model, or `train`", ""]
        return "\n".join(lines + look_at(found.experiment_id, found.run_id))
    it = found.registered
    lines += [
        f"Run {found.run_id}, registered as {it.name} version {it.version} ({role(it.role)}); it "
        "has learnt from all tracks, and was tested on none",
        "",
        *look_at(found.experiment_id, found.run_id),
        *serve_it(it.name, it.version, it.role),
    ]
    return "\n".join(lines)


def share(m: dict[str, float], name: str) -> str:
    """A share with its interval."""
    return f"{m[name]:.1%} ({m[f'{name}_low']:.1%} to {m[f'{name}_high']:.1%})"


def number(m: dict[str, float], name: str) -> str:
    """Another figure with its interval."""
    return f"{m[name]:.3f} ({m[f'{name}_low']:.3f} to {m[f'{name}_high']:.3f})"
