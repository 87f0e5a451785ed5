"""What a search is asked for, checked when it is made."""

from dataclasses import dataclass

from genre_mlflow.errors import SettingsError
from genre_mlflow.model.settings import FORBIDDEN_IN_NAMES
from genre_mlflow.options import TrainOptions
from genre_mlflow.settings import as_text

SAMPLERS = ("tpe", "gp", "random", "grid")
WILCOXON = "wilcoxon"
PRUNERS = ("median", "hyperband", "halving", WILCOXON, "none")


@dataclass(frozen=True)
class Request:
    """A study to begin or to join, and how much of it this command does.

    `options`: those that stay fixed, and the first trial's values of those that are searched;
    `study`, `storage`: empty for a name of the corpus and the space, and for a file in `home`;
    `trials`: completed and pruned ones of the whole study; `timeout_s`: no new trial after so
    many seconds, 0 for no limit; `grace_s`: seconds without a sign of life after which a trial
    counts as dead; `folds`: of train and validation together, on each of which every trial is
    trained, or, if there are to be `finalists`, the settings of so many best trials alone; 0 for
    the validation split; `final_seeds`: how often the best setting is trained again, 0 for never.
    """

    options: TrainOptions
    experiment: str
    space: str = "small"
    study: str = ""
    storage: str = ""
    trials: int = 20
    timeout_s: float = 0.0
    workers: int = 1
    sampler: str = "tpe"
    pruner: str = "none"
    folds: int = 0
    finalists: int = 0
    enqueue: tuple[str, ...] = ()
    final_seeds: int = 1
    promote: bool = False
    grace_s: int = 60

    def __post_init__(self) -> None:
        for name, low, high in (
            ("trials", 1, 1_000_000), ("timeout_s", 0, 10**9), ("workers", 1, 1024),
            ("folds", 0, 100), ("finalists", 0, 1000), ("final_seeds", 0, 1000),
            ("grace_s", 2, 86_400),
        ):  # fmt: skip
            if not low <= getattr(self, name) <= high:
                word = name.removesuffix("_s")
                raise SettingsError(
                    f"{word} is {as_text(getattr(self, name))}; allowed are {low} to {high}"
                )
        for name, allowed in (("sampler", SAMPLERS), ("pruner", PRUNERS)):
            if getattr(self, name) not in allowed:
                raise SettingsError(
                    f"{name} is {getattr(self, name)!r}; allowed are {', '.join(allowed)}"
                )
        self.check_folds()
        if any(c in self.study for c in FORBIDDEN_IN_NAMES):
            raise SettingsError(
                f"study is {self.study!r}; allowed are names without {' '.join(FORBIDDEN_IN_NAMES)}"
            )

    def check_folds(self) -> None:
        """Refuse what needs folds where there are none. Raises `SettingsError`."""
        if self.folds == 1:
            raise SettingsError("folds is 1; allowed are 0 and 2 to 100")
        if self.finalists and not self.folds:
            raise SettingsError(
                f"finalists is {self.finalists}, but folds is 0; name the folds on which they are "
                "compared, say --folds 5"
            )
        if self.pruner == WILCOXON and not self.trials_on_folds:
            raise SettingsError(
                f"pruner {WILCOXON} compares trials fold by fold; allowed with --folds of 2 or "
                f"more and --finalists 0, got {self.folds} and {self.finalists}"
            )

    @property
    def trials_on_folds(self) -> bool:
        """Whether every trial is trained on each fold."""
        return bool(self.folds) and not self.finalists
