"""Settings of a corpus: which folder, what to do about faults, and how to split."""

import os
from dataclasses import dataclass
from pathlib import Path

from genre_mlflow.errors import DataError, SettingsError
from genre_mlflow.settings import Settings, option

DEMO = "demo"  # the built-in corpus, by the name that stands for its folder
SPLITS = ("train", "val", "test")
ON_PROBLEM = ("error", "skip")
KINDS = ("artist", "recording")  # columns of a table of groups; it has one of them, or both
OWN_COLUMNS = ("track_id", "group", "split")  # of a manifest: no table of groups joins by them
ALL = "all"  # these columns together
LONGEST_LICENCE = 200  # letters


@dataclass(frozen=True)
class CorpusSettings(Settings):
    """Which music, and what to do about files that are no usable tracks."""

    data: str = option(DEMO, "Folder with one folder of images or recordings a genre, or 'demo'.")
    on_bad_file: str = option(
        "error", "What to do about files that cannot be read.", choices=ON_PROBLEM
    )
    data_licence: str = option("", "Licence of the music, which the model card states as yours.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.data:
            raise SettingsError("data is empty; give a folder with a folder per genre, or 'demo'")
        licence = self.data_licence
        if len(licence) > LONGEST_LICENCE or not licence.isprintable():
            raise SettingsError(
                f"data_licence is {licence!r}; allowed is one line of at most {LONGEST_LICENCE} "
                "letters, such as CC-BY-4.0"
            )

    def check_folder(self) -> None:
        """Say at once that there is no such folder. Raises `DataError`."""
        if self.data != DEMO:
            check_folder(Path(self.data).absolute())


@dataclass(frozen=True)
class SplitSettings(Settings):
    """How tracks are dealt to train, val and test.

    A random split is stratified by genre and fixed by `split_seed`.
    """

    split_dir: str = option("", "Folder with train.txt, val.txt and test.txt of track ids.")
    val_fraction: float = option(
        0.1, "Share of the tracks to validate on, in a random split.", above=0, below=1
    )
    test_fraction: float = option(
        0.1, "Share of the tracks to test on, in a random split.", above=0, below=1
    )
    split_seed: int = option(0, "Seed of the random split.", low=0, high=2**32 - 1)
    groups: str = option(
        "", "CSV of track_id, artist, recording, ...; what shares one stays together."
    )
    group_by: str = option(
        ALL,
        "Column of the groups that joins tracks, such as artist or album ('all': artist and "
        "recording); a given split must not part what a named one joins.",
    )
    on_missing: str = option(
        "error", "What to do about listed ids without a file.", choices=ON_PROBLEM
    )
    allow_leak: bool = option(
        False, "Train although copies, or groups by a named column, are in two splits."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.val_fraction + self.test_fraction >= 1:
            raise SettingsError(
                f"val_fraction {self.val_fraction} and test_fraction {self.test_fraction} leave "
                "nothing to train on; their sum must be below 1"
            )
        if not self.group_by.strip() or self.group_by in OWN_COLUMNS:
            raise SettingsError(
                f"group_by is {self.group_by!r}; allowed are {ALL!r} and the columns of the table "
                f"of groups but {', '.join(OWN_COLUMNS)}, which the manifest has"
            )
        if self.group_by != ALL and not self.groups:
            raise SettingsError(
                f"group_by is {self.group_by!r}, but there is no table with such a column; give "
                f"one with groups, or leave group_by at {ALL!r}"
            )

    def check_folder(self) -> None:
        """Say at once that a list cannot be read, or is missing. Raises `DataError`."""
        if self.split_dir:
            for name in SPLITS:
                self.listed(name)
        if self.groups and not os.path.isfile(self.groups):
            raise DataError(
                f"groups is {self.groups!r}, which is no file; give a CSV with track_id and "
                "artist or recording"
            )

    def listed(self, name: str) -> list[str]:
        """The lines in the list of one split, comments among them."""
        return read_list(Path(self.split_dir) / f"{name}.txt")


def read_list(path: Path) -> list[str]:
    """The lines of a text file, without blanks at their ends; an empty one is an empty word.

    What begins with # may be a comment or a name: who knows the tracks decides. Only line feeds
    part lines; a name may hold what else Unicode calls so.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"the split list {path} cannot be read ({error}); a split folder holds train.txt, "
            "val.txt and test.txt with one track id a line"
        ) from error
    return [line.strip(" \t\r") for line in lines]


def check_folder(folder: Path) -> None:
    """Raise `DataError` for a folder that is missing."""
    if not os.path.isdir(folder):  # unlike pathlib's, it never raises
        raise DataError(
            f"{folder} is no folder; give one with a folder of music per genre, or 'demo'"
        )


def check_one_source(source: str, fetch: bool) -> None:
    """Refuse a collection without a source, and one with two. Raises `SettingsError`."""
    if bool(source) == fetch:
        raise SettingsError(
            f"{'both' if fetch else 'neither'} of --source and --download given; one is needed: "
            "the folder or archive that you have, or the download"
        )
