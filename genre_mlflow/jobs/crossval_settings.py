"""How often a corpus is dealt to folds, and which options of training have no meaning there."""

from dataclasses import dataclass

from genre_mlflow.errors import SettingsError
from genre_mlflow.evaluation.doubt_settings import DoubtSettings
from genre_mlflow.options import TrainOptions, off_default
from genre_mlflow.processes import cores
from genre_mlflow.settings import Settings, option, options_of
from genre_mlflow.training.recipes import RECIPES

LAST_EPOCH = "the weights of the last epoch count"
ALL_DEALT = "all tracks are dealt to folds"
NO_MODEL = "no model is kept"
NO_EPOCHS = "the epochs of a fold are not kept"
NONE, ALL, ENSEMBLE = FINALS = ("none", "all", "ensemble")
OF_A_MODEL = ("model_name", "data_licence", *options_of(DoubtSettings))  # options that need one
# Options that would change nothing, or choose by what is measured; and why.
POINTLESS = {
    "refit": "a fold is trained on all others already",
    "refit_folds": "a fold is trained on all others already",
    "distil": "the networks themselves answer",
    "patience": LAST_EPOCH,
    "keep": NO_EPOCHS,
    **dict.fromkeys(OF_A_MODEL, f"{NO_MODEL} without --final"),
    "val_fraction": ALL_DEALT,
    "test_fraction": ALL_DEALT,
    "allow_leak": "copies of a track are in one fold always",
}


@dataclass(frozen=True)
class CrossvalSettings(Settings):
    """How a cross-validation deals the tracks.

    `repeats`: each deals and trains anew, from seeds one higher than those of the repeat before.
    `final`: which model is registered at the end, that has learnt from all tracks: one that is
    trained on them together, or those of the folds of the first repeat as one.
    """

    folds: int = option(
        10, "Folds that all tracks are dealt to, by whole groups.", low=2, high=1000
    )
    repeats: int = option(1, "Times that this is done, with other seeds.", low=1, high=1000)

    final: str = option(
        NONE, "Model to register at the end, which has learnt from all tracks and is tested on "
        "none: one trained on all, or the ensemble of the folds.", choices=FINALS,
    )  # fmt: skip

    def check_workers(self, workers: int) -> None:
        """Raise `SettingsError` for more processes than there are folds, or cores."""
        n_folds, n_cores = self.folds * self.repeats, cores()
        most = min(n_folds, n_cores)
        if workers > max(most, 1):
            raise SettingsError(
                f"workers is {workers}; allowed are at most {most}, for there are {n_folds} folds "
                f"in all and {n_cores} cores"
            )

    def options_of(self, options: TrainOptions) -> list[TrainOptions]:
        """The options of each repeat. Raises `SettingsError` for those without a meaning."""
        if self.final != NONE and not options.family.reads_files:
            raise SettingsError(
                f"final is {self.final}, but network {options.model.network} reads a table, which "
                "has no row of a new song: there is no model to register"
            )
        said = RECIPES[options.training.recipe]
        for name in off_default(options.flat()):
            if name in OF_A_MODEL and self.final != NONE:
                continue
            if name in POINTLESS and name in said:
                raise SettingsError(
                    f"recipe {options.training.recipe} asks for {name}, which has no meaning in a "
                    f"cross-validation ({POINTLESS[name]}); take another recipe"
                )
            if name in POINTLESS:
                raise SettingsError(
                    f"{name} has no meaning in a cross-validation ({POINTLESS[name]}); leave it out"
                )
        seed, split_seed = options.training.seed, options.split.split_seed
        return [
            options.changed(seed=seed + repeat, split_seed=split_seed + repeat)
            for repeat in range(self.repeats)
        ]


@dataclass(frozen=True)
class WorkerSettings(Settings):
    """How a cross-validation is worked on, which changes nothing of what it finds."""

    workers: int = option(
        1, "Processes on this machine that train folds, each with its share of the cores.",
        low=1, high=1024,
    )  # fmt: skip
