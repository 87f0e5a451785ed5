"""Settings of a corpus: what to do about faults, and how to split."""

from dataclasses import dataclass

from genre_mlflow.errors import SettingsError

DEMO = "demo"  # the built-in corpus, by the name that stands for its folder
ON_PROBLEM = ("error", "skip")


@dataclass(frozen=True)
class SplitSettings:
    """How tracks are dealt to train, val and test.

    `split_dir`: folder with `train.txt`, `val.txt` and `test.txt`, or empty for a random split of
    `val_fraction` and `test_fraction`, stratified by genre and fixed by `seed`.
    """

    split_dir: str = ""
    val_fraction: float = 0.1
    test_fraction: float = 0.1
    seed: int = 0
    on_missing: str = "error"
    allow_leak: bool = False

    def __post_init__(self) -> None:
        for name in ("val_fraction", "test_fraction"):
            if not 0 < getattr(self, name) < 1:
                raise SettingsError(
                    f"{name} is {getattr(self, name)}; allowed are values above 0 and below 1"
                )
        if self.val_fraction + self.test_fraction >= 1:
            raise SettingsError(
                f"val_fraction {self.val_fraction} and test_fraction {self.test_fraction} leave "
                "nothing to train on; their sum must be below 1"
            )
        if not 0 <= self.seed < 2**32:
            raise SettingsError(f"split seed is {self.seed}; allowed are 0 to {2**32 - 1}")
        if self.on_missing not in ON_PROBLEM:
            allowed = ", ".join(ON_PROBLEM)
            raise SettingsError(f"on_missing is {self.on_missing!r}; allowed are {allowed}")
