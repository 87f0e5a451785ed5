"""Classifiers that scikit-learn or a count fits at once: what any network should beat."""

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from genre_mlflow.errors import SettingsError
from genre_mlflow.features.settings import Shape
from genre_mlflow.model.family import Family, check_levels
from genre_mlflow.settings import option

if TYPE_CHECKING:
    from torch import nn

SVM, LOGISTIC = ESTIMATORS = ("svm", "logistic")
COMMON, WIDE = KINDS = ("common", "wide")
DEFAULT_C = {SVM: 5.0, LOGISTIC: 0.003}  # chosen by artist-grouped folds of GTZAN


@dataclass(frozen=True)
class Fitted(Family):
    """Fixed features, then an SVM or a logistic regression by scikit-learn."""

    is_fitted: ClassVar[bool] = True
    name: ClassVar[str] = "statistics"  # on the command line
    crop: ClassVar[float] = 1.0  # share of the time that is read at once

    estimator: str = option(
        SVM, "What answers from the features: an SVM of radial kernel, or logistic regression.",
        choices=ESTIMATORS, searchable=True,
    )  # fmt: skip
    c: float = option(
        0.0, "Inverse strength of its regularisation; 0: 5 for svm, 0.003 for logistic.",
        low=0, high=1e6, searchable=True,
    )  # fmt: skip

    @property
    def strength(self) -> float:
        """What scikit-learn calls `C`."""
        return self.c or DEFAULT_C[self.estimator]

    def features(self, shape: Shape) -> "tuple[nn.Module, int]":
        """What is read: uint8 levels `[B, 1, H, W]` to float32 `[B, features]`, and how many."""
        raise NotImplementedError

    def check_input(self, shape: Shape) -> None:
        """Features are of levels, not of colours."""
        check_levels(f"network {self.name}", shape)

    def build(self, n_genres: int, shape: Shape) -> "nn.Module":
        """Logits `[B, genres]` of uint8 levels `[B, 1, H, W]`; all equal until it is fitted."""
        from torch import nn

        from genre_mlflow.model.estimators import KernelMachine, Linear, Standardise
        from genre_mlflow.model.layers import Crops, crop_width

        self.check_input(shape)
        features, n_features = self.features((*shape[:2], crop_width(self.crop, shape[2])))
        head = KernelMachine if self.estimator == SVM else Linear
        parts = {
            "features": features,
            "standardise": Standardise(n_features),
            "head": head(n_genres, n_features),
        }
        reader = nn.Sequential(OrderedDict(parts))
        return Crops(reader, self.crop) if self.crop < 1 else reader


@dataclass(frozen=True)
class StatisticsBaseline(Fitted):
    """Fixed statistics of the spectrogram, which any network should beat."""

    is_baseline: ClassVar[bool] = True

    kinds: str = option(
        COMMON, "Which statistics: the common ones, or wide, with more of textures.",
        choices=KINDS, searchable=True,
    )  # fmt: skip

    def __str__(self) -> str:
        return f"statistics, {self.estimator}"

    def features(self, shape: Shape) -> "tuple[nn.Module, int]":
        """Statistics, which are not learnt."""
        from genre_mlflow.model.statistics import Statistics

        statistics = Statistics(*shape[1:], wide=self.kinds == WIDE)
        return statistics, len(statistics.names)


def cropped_statistics(n_genres: int, shape: Shape, crop: float, **settings: Any) -> "nn.Module":
    """What stands beside networks: wide statistics of several crops, whose answers are averaged."""
    from genre_mlflow.model.layers import Crops, crop_width

    seen = (*shape[:2], crop_width(crop, shape[2]))
    reader = StatisticsBaseline(kinds=WIDE, **settings).build(n_genres, seen)
    return Crops(reader, crop)


@dataclass(frozen=True)
class TableBaseline(Fitted):
    """Features of a table that somebody has computed: what they are worth, on the same split."""

    is_baseline: ClassVar[bool] = True
    reads_files: ClassVar[bool] = False
    name = "csv"

    table: str = option("", "CSV with a row of numbers for each track, for --network csv.")

    def __str__(self) -> str:
        return f"csv {Path(self.table).name}, {self.estimator}"

    def unexplained(self) -> str:
        """Numbers have no map."""
        return "reads the rows of a table, and no spectrogram"

    def check_input(self, shape: Shape) -> None:
        """The table counts, not the shape of pictures. Raises `SettingsError` without one."""
        if not self.table:
            raise SettingsError("network csv needs --table FILE, a CSV with a row for each track")

    def paths(self) -> dict[str, str]:
        """The table."""
        return {"table": self.table}

    def check_files(self) -> None:
        """Read it. Raises `DataError`."""
        from genre_mlflow.features.table import read_features

        read_features(self.table)

    def data_digest(self) -> str:
        """Of the table. Raises `DataError`."""
        from genre_mlflow.features.table import table_digest

        return table_digest(self.table)

    def features(self, shape: Shape) -> "tuple[nn.Module, int]":
        """The numbers as they are. Raises `DataError` for a file that is no such table."""
        from torch import nn

        from genre_mlflow.features.table import read_features

        return nn.Flatten(), len(read_features(self.table).columns)


@dataclass(frozen=True)
class MajorityBaseline(Family):
    """The commonest genre of the training tracks, whatever is sent."""

    is_fitted: ClassVar[bool] = True
    is_baseline: ClassVar[bool] = True

    def __str__(self) -> str:
        return "majority"

    def unexplained(self) -> str:
        """No answer has a reason."""
        return "says the same whatever it is given"

    def build(self, n_genres: int, shape: Shape) -> "nn.Module":
        """Logits `[B, genres]` that do not depend on the pixels."""
        from genre_mlflow.model.estimators import Constant

        return Constant(n_genres)
