"""The errors a user can cause: one root, a few kinds.

Each message is one line: the problem, the value got, and what is allowed or what to do.
"""


class GenreError(Exception):
    """Root of every error that the command line shows as one line with exit code 2."""


class SettingsError(GenreError):
    """An option or a setting is out of its range."""


class DataError(GenreError):
    """A file, a folder or a split cannot be used as it is."""


class ModelError(GenreError):
    """A model, a run or a registered version is missing or does not fit."""


class StudyError(GenreError):
    """A study, its storage or its search space cannot be used as it is."""


class TrainingError(GenreError):
    """Training cannot go on: the loss is no number, or a checkpoint does not fit."""


class RankError(GenreError):
    """A process of a group that trains together is gone, or does not answer."""
