"""What is printed at the end of a search: the best setting, its test accuracy, what to do next."""

from statistics import mean

from genre_mlflow.cli.messages import look_at, promote_it, role
from genre_mlflow.files.words import counted
from genre_mlflow.settings import as_text
from search.best import Finished
from search.worker import rounded


def summary(found: Finished) -> str:
    """The best setting against the first, the final runs, and commands to go on with."""
    setting = ", ".join(f"{name} {as_text(rounded(v))}" for name, v in found.setting.items())
    first = found.first_val_loss
    compared = f" (the setting of the command line: {first:.4f})" if first is not None else ""
    lines = [
        "",
        *finalists(found),
        f"Best of {counted(found.trials, 'trial')}: trial {found.best_trial}, validation loss "
        f"{found.best_val_loss:.4f}{compared}, accuracy {found.best_val_accuracy:.1%}",
        f"  {setting}",
    ]
    if found.final_runs:
        lines.append(f"Trained again, on {found.n_test} test tracks:")
        lines += [
            f"  test accuracy {accuracy:.1%} (95 % interval {low:.1%} to {high:.1%}), run {run_id}"
            for accuracy, (low, high), run_id in zip(
                found.test_accuracies, found.test_intervals, found.final_runs, strict=True
            )
        ]
        if len(found.final_runs) > 1:
            lines.append(f"  mean {mean(found.test_accuracies):.1%}")
        if found.version:
            lines.append(
                f"Registered the one with the best validation: {found.model_name} version "
                f"{found.version} ({role(found.role)})"
            )
    lines += ["", *look_at(found.experiment_id, found.parent_run_id)]
    if found.version:
        lines += promote_it(found.model_name, found.version, found.role)
    return "\n".join(lines)


def finalists(found: Finished) -> list[str]:
    """A line for each finalist, the best first."""
    if not found.finalists:
        return []
    pairs = zip(found.finalists, found.finalist_losses, strict=True)
    return ["Finalists, mean validation loss over folds:"] + [
        f"  trial {number}: {loss:.4f}" for number, loss in pairs
    ]
