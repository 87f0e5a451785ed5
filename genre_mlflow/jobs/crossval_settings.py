"""How often a corpus is dealt to folds, and which options of training have no meaning there."""

from dataclasses import dataclass

from genre_mlflow.errors import SettingsError
from genre_mlflow.options import TrainOptions, off_default
from genre_mlflow.settings import Settings, option
from genre_mlflow.training.recipes import RECIPES

LAST_EPOCH = "the weights of the last epoch count"
ALL_DEALT = "all tracks are dealt to folds"
NO_MODEL = "no model is kept"
# Options that would change nothing, or choose by what is measured; and why.
POINTLESS = {
    "refit": "a fold is trained on all others already",
    "distil": "the networks themselves answer",
    "patience": LAST_EPOCH,
    "keep": NO_MODEL,
    "model_name": NO_MODEL,
    "sure_precision": NO_MODEL,
    "set_coverage": NO_MODEL,
    "familiar_share": NO_MODEL,
    "val_fraction": ALL_DEALT,
    "test_fraction": ALL_DEALT,
    "allow_leak": "copies of a track are in one fold always",
}


@dataclass(frozen=True)
class CrossvalSettings(Settings):
    """How a cross-validation deals the tracks.

    `repeats`: each deals and trains anew, from seeds one higher than those of the repeat before.
    """

    folds: int = option(
        10, "Folds that all tracks are dealt to, by whole groups.", low=2, high=1000
    )
    repeats: int = option(1, "Times that this is done, with other seeds.", low=1, high=1000)

    def options_of(self, options: TrainOptions) -> list[TrainOptions]:
        """The options of each repeat. Raises `SettingsError` for those without a meaning."""
        said = RECIPES[options.training.recipe]
        for name in off_default(options.flat()):
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
