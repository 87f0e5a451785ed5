"""What is searched. A file of your own, in YAML or Python, has the same form.

A range has `low` and `high`, and may have `log: True` (equal factors are equally likely) or
`step`. A list holds the values to choose from. What a space does not name keeps the value it has
on the command line; for what it names, that value is the first trial's.
"""

SMALL = {
    "dropout": {"low": 0.0, "high": 0.8},
    "lr": {"low": 1e-4, "high": 1e-2, "log": True},
}

FULL = {
    **SMALL,
    "weight_decay": {"low": 1e-3, "high": 0.5, "log": True},
    "mixup": {"low": 0.0, "high": 1.0},
    "batch_size": [16, 32, 64],
    "schedule": ["none", "cosine", "one-cycle"],
    "widths": ["32,32,32", "64,64,64", "96,96,96"],
    "head_width": [0, 64, 256],
}

SPACES = {"small": SMALL, "full": FULL}
