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
    "weight_decay": {"low": 1e-6, "high": 1e-2, "log": True},
    "batch_size": [16, 32, 64],
    "schedule": ["none", "cosine", "one-cycle"],
    "widths": ["8,16,32,64,128", "16,32,64,128,256", "24,48,96,192,256"],
    "head_width": [64, 128, 256, 512],
}

SPACES = {"small": SMALL, "full": FULL}
