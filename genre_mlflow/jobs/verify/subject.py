"""What is to be verified: a run with its last model, or an earlier model of a run that went on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from genre_mlflow.corpus.settings import SPLITS
from genre_mlflow.errors import ModelError
from genre_mlflow.jobs.card.facts import MODEL_TAG, RunFacts, facts_of, find_run
from genre_mlflow.jobs.verify.differences import Difference, figures
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.tracking.answers import without_alias
from genre_mlflow.tracking.classifiers import load
from genre_mlflow.tracking.models import WEIGHTS
from genre_mlflow.tracking.observer import epoch_name
from genre_mlflow.tracking.registry import (
    TEST_DIGEST,
    RegisteredModel,
    logged_model_id,
    model_predictions,
)
from genre_mlflow.tracking.run import TrackedRun

BEST_EPOCH, BEST_LR = "best_epoch", "best_lr"


@dataclass(frozen=True)
class Subject:
    """A run, one of its models, and what was recorded of that.

    `facts`: with the predictions of this model; `is_last`: whether the run's own figures and its
    card are of it. `measured`: the figures that stand beside the model itself.
    """

    address: str
    run: TrackedRun
    facts: RunFacts
    model_id: str
    measured: Mapping[str, float]
    weights: str
    is_last: bool

    def elsewhere(self, values: Mapping[str, float]) -> list[Difference]:
        """What the logged model and the registered version say otherwise than `values`."""
        known = {name: values[name] for name in self.measured if name in values}
        found = figures(self.measured, known)
        if "/" in self.address.removeprefix("models:/"):
            found += tag_differences(self.address, self.facts, values)
        return [replace(one, what=f"{one.what} of {self.model_address}") for one in found]

    @property
    def model_address(self) -> str:
        """The address of the model."""
        return self.address if ":/" in self.address else f"models:/{self.model_id}"

    def best_in_history(self) -> dict[str, float]:
        """The epoch with the least validation loss, of those that the run has logged."""
        losses, rates = (self.history(name) for name in ("val_loss", "lr"))
        if not losses:
            return {}
        best = min(sorted(losses), key=lambda epoch: losses[epoch])
        return {BEST_EPOCH: float(best), BEST_LR: rates[best]}

    def history(self, name: str) -> dict[int, float]:
        """A metric by epoch."""
        return {
            one.step: one.value for one in self.run.client.get_metric_history(self.run.id, name)
        }


def find_subject(address: str) -> Subject:
    """What an address names. Raises `ModelError` where it is no training with a model."""
    fixed = without_alias(address) if ":/" in address else address
    run = find_run(fixed)
    facts = facts_of(run)
    last = facts.tags[MODEL_TAG]
    model_id = (logged_model_id(fixed) if ":/" in fixed else last) or last
    model = run.client.get_logged_model(model_id)
    if not model.params.get(WEIGHTS):
        raise ModelError(f"{fixed} is a checkpoint, of which no card tells; name its run")
    if model_id != last:
        facts = replace(facts, predictions=model_predictions(model, fixed))
    return Subject(
        address=fixed,
        run=run,
        facts=facts,
        model_id=model_id,
        measured={metric.key: metric.value for metric in model.metrics or ()},
        weights=model.params[WEIGHTS],
        is_last=model_id == last,
    )


def tag_differences(address: str, facts: RunFacts, values: Mapping[str, float]) -> list[Difference]:
    """Tags of a registered version that say otherwise."""
    name, _, number = address.removeprefix("models:/").partition("/")
    model = RegisteredModel(name)
    tags = model.tags(model.get(number))
    now = {TEST_DIGEST: facts.test_digest, "test_accuracy": f"{values['test_accuracy']:.4f}"}
    return [
        Difference(f"tag {key}", tags.get(key, ""), value)
        for key, value in now.items()
        if tags.get(key, "") != value
    ]


def rated_of(subject: Subject) -> dict[str, Classifier]:
    """Who answers for each split: the model, and before it the network that chose the epoch.

    Raises `ModelError` where that is gone.
    """
    final = load(f"models:/{subject.model_id}")
    training = subject.facts.options.training
    if not (training.refit or training.distil):
        return dict.fromkeys(SPLITS, final)
    if not subject.is_last:
        raise ModelError(
            f"{subject.address} is an earlier model of run {subject.run.id}, which went on; the "
            "network that was validated then is not kept"
        )
    first = load(f"models:/{best_checkpoint(subject)}")
    return {"train": first, "val": first, "test": final}


def best_checkpoint(subject: Subject) -> str:
    """The logged model with the weights of the best epoch. Raises `ModelError`."""
    name = epoch_name(int(subject.facts.metrics[BEST_EPOCH]))
    found = subject.run.models(f" AND name = '{name}'")
    if not found:
        raise ModelError(
            f"run {subject.run.id} has no checkpoint {name} any more, by which its figures of "
            "train and validation could be computed"
        )
    return str(found[0].model_id)
