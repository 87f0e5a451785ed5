"""What is saved with the weights of a model, against what is found anew on the same music."""

import hashlib
from dataclasses import dataclass
from typing import Self

import torch

from genre_mlflow.jobs.verify.differences import Difference, figures
from genre_mlflow.model.classifier import DIGEST_CHARACTERS, Classifier
from genre_mlflow.model.doubt import UNKNOWN, Doubt
from genre_mlflow.model.familiarity import Familiarity
from genre_mlflow.model.weights import to_safetensors

TOLERANCE = 0.01  # of familiar music, in deviations, some of which are small
NOBODY = float("nan")  # stands for a limit that nobody knows


@dataclass(frozen=True)
class Saved:
    """What a classifier was given when it was trained, by which it tells its answers."""

    temperature: float
    doubt: Doubt
    familiarity: Familiarity | None

    @classmethod
    def taken_from(cls, classifier: Classifier) -> Self:
        """What a classifier has; it is left without, so that all is found anew."""
        saved = cls.of(classifier)
        classifier.temperature, classifier.doubt, classifier.familiarity = 1.0, UNKNOWN, None
        return saved

    @classmethod
    def of(cls, classifier: Classifier) -> Self:
        """What a classifier has."""
        return cls(classifier.temperature, classifier.doubt, classifier.familiarity)

    def limits(self) -> dict[str, float]:
        """Its numbers, by names for people."""
        known = self.familiarity
        found = {
            "temperature": self.temperature,
            "sure_from": self.doubt.sure_from,
            "likely_from": self.doubt.likely_from,
            "farthest": known.farthest if known else None,
        }
        return {
            f"{name} of the model": NOBODY if value is None else value
            for name, value in found.items()
        }

    def differences(self, now: Self) -> list[Difference]:
        """What is otherwise in `now`."""
        found = figures(self.limits(), now.limits())
        if self.familiarity and now.familiarity and not alike(self.familiarity, now.familiarity):
            one, other = (digest_of(each) for each in (self.familiarity, now.familiarity))
            found.append(Difference("digest of the familiar music", one, other))
        return found


def alike(one: Familiarity, other: Familiarity) -> bool:
    """Whether two were made of the same music, but for the rounding of processors."""
    ours, theirs = one.arrays(), other.arrays()
    return all(
        array.shape == theirs[name].shape and torch.allclose(array, theirs[name], atol=TOLERANCE)
        for name, array in ours.items()
    )


def digest_of(known: Familiarity) -> str:
    """As many characters as name the weights."""
    return hashlib.sha256(to_safetensors(known.arrays())).hexdigest()[:DIGEST_CHARACTERS]
