"""Runs that are shown below another one."""

from collections.abc import Mapping

from genre_mlflow.tracking.run import TrackedRun

PARENT_TAG = "mlflow.parentRunId"


class NestedRuns:
    """The runs below `parent`.

    `dataset`: name and digest of the corpus, which all metrics are linked to.
    """

    def __init__(self, parent: TrackedRun, dataset: tuple[str, str]) -> None:
        self.parent, self.dataset = parent, dataset
        parent.dataset = dataset

    def linked(self, run: TrackedRun) -> TrackedRun:
        """The run, its metrics linked to the corpus."""
        run.dataset = self.dataset
        return run

    def children(self, task: str, more: str = "") -> list[TrackedRun]:
        """Nested runs of one task; `more` is a further filter in MLflow's words."""
        words = f"tags.`{PARENT_TAG}` = '{self.parent.id}' AND tags.task = '{task}'{more}"
        return [self.linked(run) for run in TrackedRun.search(self.parent.experiment_id, words)]

    def new_child(self, name: str, tags: Mapping[str, str]) -> TrackedRun:
        """Open a nested run."""
        nested = {PARENT_TAG: self.parent.id, **tags}
        return self.linked(TrackedRun.create(self.parent.experiment_id, name, nested))
