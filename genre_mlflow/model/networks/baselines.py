"""Classifiers that scikit-learn or a count fits at once: what any network should beat."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from genre_mlflow.features.settings import Shape
from genre_mlflow.model.family import Family, check_levels
from genre_mlflow.settings import option

if TYPE_CHECKING:
    from torch import nn

SVM, LOGISTIC = ESTIMATORS = ("svm", "logistic")
COMMON, WIDE = KINDS = ("common", "wide")
DEFAULT_C = {SVM: 5.0, LOGISTIC: 0.003}  # chosen by artist-grouped folds of GTZAN


@dataclass(frozen=True)
class StatisticsBaseline(Family):
    """Fixed statistics of the spectrogram, then an SVM or a logistic regression by scikit-learn."""

    is_fitted: ClassVar[bool] = True

    estimator: str = option(
        SVM, "What answers from the statistics: an SVM of radial kernel, or logistic regression.",
        choices=ESTIMATORS, searchable=True,
    )  # fmt: skip
    c: float = option(
        0.0, "Inverse strength of its regularisation; 0: 5 for svm, 0.003 for logistic.",
        low=0, high=1e6, searchable=True,
    )  # fmt: skip

    kinds: str = option(
        COMMON, "Which statistics: the common ones, or wide, with more of textures.",
        choices=KINDS, searchable=True,
    )  # fmt: skip

    @property
    def strength(self) -> float:
        """What scikit-learn calls `C`."""
        return self.c or DEFAULT_C[self.estimator]

    def __str__(self) -> str:
        return f"statistics, {self.estimator}"

    def check_input(self, shape: Shape) -> None:
        """Statistics are of levels, not of colours."""
        check_levels("network statistics", shape)

    def build(self, n_genres: int, shape: Shape) -> "nn.Module":
        """Logits `[B, genres]` of uint8 levels `[B, 1, H, W]`; all equal until it is fitted."""
        from torch import nn

        from genre_mlflow.model.estimators import KernelMachine, Linear, Standardise
        from genre_mlflow.model.statistics import Statistics

        self.check_input(shape)
        statistics = Statistics(*shape[1:], wide=self.kinds == WIDE)
        head = KernelMachine if self.estimator == SVM else Linear
        n_statistics = len(statistics.names)
        parts = {
            "statistics": statistics,
            "standardise": Standardise(n_statistics),
            "head": head(n_genres, n_statistics),
        }
        return nn.Sequential(OrderedDict(parts))


@dataclass(frozen=True)
class MajorityBaseline(Family):
    """The commonest genre of the training tracks, whatever is sent."""

    is_fitted: ClassVar[bool] = True

    def __str__(self) -> str:
        return "majority"

    def build(self, n_genres: int, shape: Shape) -> "nn.Module":
        """Logits `[B, genres]` that do not depend on the pixels."""
        from genre_mlflow.model.estimators import Constant

        return Constant(n_genres)
