"""Dealing tracks to train, val and test so that no copy of a track is on two sides."""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from genre_mlflow.corpus.groups import groups_from, known_groups
from genre_mlflow.corpus.settings import ALL, KINDS, SPLITS, SplitSettings
from genre_mlflow.corpus.shared_groups import SharedGroup, how_many, in_words, shared_groups
from genre_mlflow.corpus.track_names import find_tracks, short_names
from genre_mlflow.errors import DataError
from genre_mlflow.files.words import counted, few


@dataclass(frozen=True)
class SplitResult:
    """The manifest with every `split` filled in, and what was passed over on the way.

    `missing`: ids in the lists of the split but not in the folder; `excluded`: tracks of the
    folder that no list names, which are not in the manifest any more; `leaks`: groups of equal
    tracks on two sides, where that was allowed. `together`: by track id the group of those that
    belong on one side where a table of groups was given; `shared`: such groups on two sides all
    the same, as a given split may have them.
    """

    manifest: pd.DataFrame
    missing: list[str]
    excluded: list[str]
    leaks: list[list[str]]
    together: Mapping[str, str] = field(default_factory=dict)
    shared: list[SharedGroup] = field(default_factory=list)

    @property
    def grouped(self) -> pd.DataFrame:
        """The manifest with all that belongs on one side in one `group`, as folds need it."""
        return in_groups(self.manifest, self.together)

    @property
    def warning(self) -> str:
        """A line about the groups of the table that are on two sides; empty where none is."""
        if not self.shared:
            return ""
        return f"{in_words(self.shared)} (`corpus scan --faults FILE.json` names all of them)"

    @property
    def leak(self) -> str:
        """What is on two sides all the same, in a clause; empty where nothing is."""
        return leak_clause(self.leaks, self.shared)


def leak_clause(leaks: Sequence[Sequence[str]], shared: Sequence[SharedGroup]) -> str:
    """What is on two sides of a split, in a clause; empty where nothing is."""
    copies = f"{counted(len(leaks), 'track')} with copies in another split"
    return "; ".join([copies] * bool(leaks) + [how_many(shared)] * bool(shared))


def split(manifest: pd.DataFrame, settings: SplitSettings) -> SplitResult:
    """Fill `split`: from lists, from the folders the tracks lie in, or by chance.

    Raises `DataError` when a split lacks a genre, when a list names a track twice or one that is
    not there, and when copies of a track would be on two sides, or a group of the table whose
    column `group_by` names.
    """
    missing: list[str] = []
    excluded: list[str] = []
    known = groups_known(manifest, settings)
    together = groups_together(known)
    if settings.split_dir:
        manifest, missing, excluded = split_by_lists(manifest, settings)
    elif (manifest["split"] == "").all():
        dealt = split_by_chance(in_groups(manifest, together), settings)
        manifest = manifest.assign(split=dealt["split"])
    check_every_genre(manifest)
    leaks = leaking_groups(manifest)
    if leaks and not settings.allow_leak:
        raise DataError(
            f"{counted(len(leaks), 'track')} with copies, or other segments, in another split, for "
            f"example {few(leaks[0], ' = ')}; a test on such a split says too much. Take the "
            "copies out, or train all the same with --allow-leak"
        )
    shared = shared_groups(manifest, known)
    if shared and settings.group_by != ALL and not settings.allow_leak:
        raise DataError(
            f"{in_words(shared)}. Take another split, or train all the same with --allow-leak; "
            "`corpus scan --allow-leak --faults FILE.json` names all of them"
        )
    return SplitResult(manifest, missing, excluded, leaks, together, shared)


def undealt(manifest: pd.DataFrame, settings: SplitSettings) -> SplitResult:
    """All tracks, or those that lists name, on no side; what has been dealt before is kept.

    For folds, which deal whole groups themselves. Raises `DataError` for fewer than two genres.
    """
    missing: list[str] = []
    excluded: list[str] = []
    together = groups_together(groups_known(manifest, settings))
    if settings.split_dir:
        manifest, missing, excluded = split_by_lists(manifest, settings)
    check_genres(manifest)
    return SplitResult(manifest, missing, excluded, [], together)


def groups_known(manifest: pd.DataFrame, settings: SplitSettings) -> pd.DataFrame:
    """What the table of groups says of each track; no rows without a table."""
    if not settings.groups:
        return pd.DataFrame(columns=["track_id", *KINDS, "group"], dtype=str)
    table = groups_from(Path(settings.groups), settings.group_by)
    return known_groups(manifest, table, settings.on_missing)


def groups_together(known: pd.DataFrame) -> dict[str, str]:
    """By track id the group that the table of groups makes of it; empty without a table."""
    return dict(zip(known["track_id"], known["group"], strict=True))


def in_groups(manifest: pd.DataFrame, together: Mapping[str, str]) -> pd.DataFrame:
    """The manifest with these groups by track id; as it is where there are none."""
    return manifest.assign(group=manifest["track_id"].map(together)) if together else manifest


def split_by_chance(manifest: pd.DataFrame, settings: SplitSettings) -> pd.DataFrame:
    """Deal whole groups, genre by genre, until val and test have their share of the tracks.

    A group whose tracks disagree about the genre goes with its first track by id.
    """
    rng = np.random.default_rng(settings.split_seed)
    by_id = manifest.sort_values("track_id")
    groups = by_id.groupby("group").agg(genre=("genre", "first"), size=("track_id", "size"))
    side: dict[str, str] = {}
    for genre, members in groups.groupby("genre"):
        if len(members) < len(SPLITS):
            kind = "track group" if settings.groups else "distinct track"
            raise DataError(
                f"genre {genre!r} has {counted(len(members), kind)}; at least "
                f"{len(SPLITS)} are needed, one for each of train, val and test"
            )
        order = members.iloc[rng.permutation(len(members))]
        side.update(deal(order["size"], settings))
    return manifest.assign(split=manifest["group"].map(side))


def deal(sizes: "pd.Series[int]", settings: SplitSettings) -> dict[str, str]:
    """The split of each group (the index of `sizes`), at least one group for every split.

    A split gets at most half as much again as its share, where smaller groups are left for it.
    """
    n_tracks = int(sizes.sum())
    wanted = {
        "test": max(1, round(n_tracks * settings.test_fraction)),
        "val": max(1, round(n_tracks * settings.val_fraction)),
    }
    dealt: dict[str, str] = {}
    waiting = list(sizes.items())
    for name, n_wanted in wanted.items():
        n_dealt = 0
        spare = len(SPLITS) - 1 - list(wanted).index(name)  # groups that the other splits need
        while n_dealt < n_wanted and len(waiting) > spare:
            group, size = waiting.pop(next_group(waiting, 1.5 * n_wanted - n_dealt))
            dealt[str(group)] = name
            n_dealt += int(size)
    dealt.update({str(group): "train" for group, _ in waiting})
    return dealt


def next_group(waiting: Sequence[tuple[Hashable, int]], most: float) -> int:
    """The place of the last group, by name and size, of at most `most` tracks, or of the least."""
    places = range(len(waiting))
    for place in reversed(places):
        if waiting[place][1] <= most:
            return place
    return min(places, key=lambda place: waiting[place][1])


def split_by_lists(
    manifest: pd.DataFrame, settings: SplitSettings
) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Fill `split` from `train.txt`, `val.txt` and `test.txt`, one id a line.

    The id of a recording whose segments are files of their own stands for all of them.
    """
    names = short_names(manifest["track_id"])
    side: dict[str, str] = {}
    missing: list[str] = []
    places: list[str] = []
    for name in SPLITS:
        for number, line in enumerate(settings.listed(name), start=1):
            tracks = find_tracks(line, names)
            if not tracks and line and not line.startswith("#"):
                missing.append(line)
                places.append(f"{line!r} ({name}.txt, line {number})")
            for track in tracks:
                if track in side:
                    raise DataError(
                        f"track {line!r} is listed twice, in {side[track]} and in {name}"
                    )
                side[track] = name
    if missing and settings.on_missing == "error":
        raise DataError(
            f"{counted(len(missing), 'id')} in {settings.split_dir} without a track in the folder: "
            f"{few(places)}; go on without them with --on-missing skip"
        )
    listed = manifest["track_id"].isin(list(side))
    excluded = list(manifest["track_id"][~listed])
    kept = manifest[listed].reset_index(drop=True)
    return kept.assign(split=kept["track_id"].map(side)), missing, excluded


def check_every_genre(manifest: pd.DataFrame) -> None:
    """Every genre must be trained on, validated and tested."""
    check_genres(manifest)
    counts = Counter(zip(manifest["genre"], manifest["split"], strict=True))
    genres = sorted(manifest["genre"].unique())
    lacking = [f"{g!r} in {s}" for g in genres for s in SPLITS if not counts[g, s]]
    if lacking:
        raise DataError(f"too few tracks: there is no {few(lacking)}")


def check_genres(manifest: pd.DataFrame) -> None:
    """There must be something to tell apart."""
    genres = sorted(manifest["genre"].unique())
    if len(genres) < 2:
        raise DataError(f"the split has one genre, {', '.join(genres) or 'none'}; two are needed")


def leaking_groups(manifest: pd.DataFrame) -> list[list[str]]:
    """Groups of equal tracks on more than one side, as lists of `track_id (split)`."""
    n_sides = manifest.groupby("group")["split"].transform("nunique")
    leaking = manifest[n_sides > 1]
    return [
        [f"{row.track_id} ({row.split})" for row in group.itertuples()]
        for _, group in leaking.groupby("group")
    ]
