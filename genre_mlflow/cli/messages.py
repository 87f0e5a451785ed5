"""What is printed at the end of training: the result, and the exact commands to go on with."""

import shlex
from collections.abc import Mapping

from genre_mlflow.corpus.settings import DEMO
from genre_mlflow.evaluation.intervals import readable
from genre_mlflow.jobs.evaluate import Evaluation
from genre_mlflow.jobs.outcome import Outcome
from genre_mlflow.jobs.rivals import BASELINE, GAIN
from genre_mlflow.model.settings import CHAMPION
from genre_mlflow.tracking import commands


def summary(outcome: Outcome) -> str:
    """Test accuracy, the run, the version, and how to look at, serve and repeat it."""
    m = outcome.metrics
    lines = [
        "",
        f"Test accuracy {m['test_accuracy']:.1%} (95 % interval {m['test_accuracy_low']:.1%} to "
        f"{m['test_accuracy_high']:.1%}) on {outcome.n_test} tracks of {outcome.n_genres} genres, "
        f"macro F1 {m['test_macro_f1']:.3f}, best epoch {m['best_epoch']:.0f}",
        *beside_accuracy(m, "test_"),
        *([outcome.small] if outcome.small else []),
        *beside_baseline(m),
        f"Run {outcome.run_id}, {registered(outcome)}",
        *send_it(outcome),
        "",
        *look_at(outcome.experiment_id, outcome.run_id),
        *serve_it(outcome.model_name, outcome.version, outcome.role),
    ]
    if outcome.tags["corpus"] == DEMO:
        own = "train --data /path/to/folder --model-name my-genres"
        lines.append(f"  your own music  {commands.genre_mlflow(own)}")
    if outcome.version:
        lines += promote_it(outcome.model_name, outcome.version, outcome.role)
    return "\n".join(lines)


def evaluated(result: Evaluation) -> str:
    """The table by genre, the figures of all with their intervals, and the run."""
    m = result.metrics
    lines = [
        readable(result.report).to_string(index=False),
        "",
        f"Accuracy {m['accuracy']:.1%} (95 % interval {m['accuracy_low']:.1%} to "
        f"{m['accuracy_high']:.1%}), macro F1 {m['macro_f1']:.3f}, on {result.n_tracks} tracks "
        f"({result.known.summary()}); run {result.run_id}",
        *beside_accuracy(m),
        *([result.small] if result.small else []),
    ]
    return "\n".join(lines)


def beside_accuracy(m: Mapping[str, float], prefix: str = "") -> list[str]:
    """A line of further figures with their intervals, where those could be drawn."""
    if f"{prefix}macro_f1_low" not in m:
        return []
    names = {"balanced_accuracy": "Balanced accuracy", "top3_accuracy": "top-3 accuracy",
             "macro_f1": "macro F1"}  # fmt: skip
    parts = []
    for name, words in names.items():
        key, form = prefix + name, ".1%" if name.endswith("accuracy") else ".3f"
        ends = f"{m[f'{key}_low']:{form}} to {m[f'{key}_high']:{form}}"
        parts.append(f"{words} {m[key]:{form}} ({ends})")
    return [", ".join(parts)]


def registered(outcome: Outcome) -> str:
    """As what a run is registered, or why it is not."""
    if outcome.unsent:
        return "not registered: the MLflow store does not answer"
    if not outcome.version:
        return "not registered: a new song has no row in the table"
    return f"registered as {outcome.model_name} version {outcome.version} ({role(outcome.role)})"


def send_it(outcome: Outcome) -> list[str]:
    """A line that says where lies what the store has not got, if there is anything."""
    if not outcome.unsent:
        return []
    command = commands.genre_mlflow(f"sync {outcome.run_id}")
    return [f"What it lacks waits in {outcome.unsent}; send it with: {command}"]


def serve_it(name: str, version: str, alias: str) -> list[str]:
    """A line that says how to serve what is registered, if anything is."""
    if not version:
        return []
    uri = f"models:/{name}" + (f"@{alias}" if alias else f"/{version}")
    return [f"  serve it        {commands.genre_mlflow(f'serve --model {shlex.quote(uri)}')}"]


def beside_baseline(m: Mapping[str, float]) -> list[str]:
    """A line that compares a network with the statistics baseline, where that was done."""
    if GAIN not in m:
        return []
    low, high = 100 * m[f"{GAIN}_low"], 100 * m[f"{GAIN}_high"]
    line = (
        f"Baseline of fixed statistics {m[BASELINE]:.1%}: this network has {100 * m[GAIN]:+.1f} "
        f"points (95 % interval over tracks {low:+.1f} to {high:+.1f})"
    )
    beaten = m[GAIN] > 0
    return (
        [line]
        if beaten
        else [line, "It does not beat the baseline: try train --network statistics"]
    )


def role(alias: str) -> str:
    """What a version is, by the alias that points to it."""
    return alias or "neither champion nor challenger: a newer version is"


def promote_it(name: str, version: str, alias: str) -> list[str]:
    """A line that says how to promote this very version, unless it is the champion."""
    if alias == CHAMPION:
        return []
    words = f"promote --model-name {shlex.quote(name)}" + ("" if alias else f" --version {version}")
    return [f"  promote it      {commands.genre_mlflow(words)}"]


def look_at(experiment_id: str, run_id: str) -> list[str]:
    """Lines that say how to look at a run in the MLflow UI."""
    first, *rest = commands.look(experiment_id, run_id)
    return [f"  look at it      {first}", *(f"                  {line}" for line in rest)]
