"""Recipes: sets of defaults for training by name. Each option of one may be given otherwise."""

from typing import Any

DEFAULT, PLAIN, BEST = "default", "plain", "best"
RECIPES: dict[str, dict[str, Any]] = {
    # As the settings have them: chosen by artist-grouped folds of GTZAN, minutes on two cores.
    DEFAULT: {},
    # A VGG as it was before: convolutions over pixels, and nothing beside them.
    PLAIN: {
        "stem": "pixels", "widths": (8, 16, 32, 64, 128), "pooling": "mean", "crop": 1.0,
        "head_width": 256, "statistics_share": 0.0, "lr": 1e-3, "weight_decay": 0.0,
        "label_smoothing": 0.0, "mixup": 0.0, "ema_decay": 0.0, "epochs": 15,
    },
    # All the tracks that may be learnt from. Longer training and ensembles brought nothing there.
    BEST: {"refit": True},
}  # fmt: skip
