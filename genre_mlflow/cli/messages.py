"""What is printed at the end of training: the result, and the exact commands to go on with."""

from genre_mlflow.jobs.train import Outcome
from genre_mlflow.tracking import commands


def summary(outcome: Outcome) -> str:
    """Test accuracy, the run, the version, and how to look at, serve and repeat it."""
    m = outcome.metrics
    role = "champion" if outcome.version == outcome.champion else "challenger"
    uri = f"models:/{outcome.model_name}@{role}"
    lines = [
        "",
        f"Test accuracy {m['test_accuracy']:.1%} (95 % interval {m['test_accuracy_low']:.1%} to "
        f"{m['test_accuracy_high']:.1%}) on {outcome.n_test} tracks of {outcome.n_genres} genres, "
        f"macro F1 {m['test_macro_f1']:.3f}, best epoch {m['best_epoch']:.0f}",
        f"Run {outcome.run_id}, registered as {outcome.model_name} version {outcome.version} "
        f"({role})",
        "",
        *look_at(outcome.experiment_id, outcome.run_id),
        f"  serve it        {commands.genre_mlflow(f'serve --model {uri}')}",
        f"  your own music  {commands.genre_mlflow('train --data /path/to/folder')}",
    ]
    if role == "challenger":
        promote = commands.genre_mlflow(f"promote --model-name {outcome.model_name}")
        lines.append(f"  promote it      {promote}")
    return "\n".join(lines)


def look_at(experiment_id: str, run_id: str) -> list[str]:
    """Lines that say how to look at a run in the MLflow UI."""
    first, *rest = commands.look(experiment_id, run_id)
    return [f"  look at it      {first}", *(f"                  {line}" for line in rest)]
