"""Networks of one family, trained on other tracks each, as one."""

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Self

from genre_mlflow.features.settings import Shape
from genre_mlflow.model.family import Family
from genre_mlflow.model.networks import family, name_of

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class FoldEnsemble(Family):
    """`members` networks, whose answers are averaged: the logarithms of their probabilities.

    `network`: the family of all; `settings`: its settings as JSON.
    """

    network: str = "vgg"
    settings: str = ""
    members: int = 2

    @classmethod
    def of(cls, member: Family, members: int) -> Self:
        """So many networks of these settings."""
        return cls(name_of(member), json.dumps(asdict(member), sort_keys=True), members)

    @property
    def member(self) -> Family:
        """The settings of each."""
        return family(self.network).from_saved(json.loads(self.settings))

    def __str__(self) -> str:
        return f"{self.members} x {self.member}, each of other folds"

    def unexplained(self) -> str:
        """As each of them."""
        return self.member.unexplained()

    def explained(self, shape: Shape) -> str:
        """As each of them."""
        return self.member.explained(shape)

    def check_input(self, shape: Shape) -> None:
        """As each of them."""
        self.member.check_input(shape)

    def origin(self) -> str:
        """As each of them."""
        return self.member.origin()

    def build(self, n_genres: int, shape: Shape) -> "nn.Module":
        """Logits `[B, genres]` of uint8 pixels `[B, C, H, W]`."""
        from genre_mlflow.model.layers import Committee

        return Committee([self.member.build(n_genres, shape) for _ in range(self.members)])
