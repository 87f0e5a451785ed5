"""Dealing tracks to train, val and test so that no copy of a track is on two sides."""

import unicodedata
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

from genre_mlflow.corpus.folders import without_ending
from genre_mlflow.corpus.manifest import recording_of
from genre_mlflow.corpus.settings import SPLITS, SplitSettings
from genre_mlflow.errors import DataError
from genre_mlflow.files.words import counted, few


@dataclass(frozen=True)
class SplitResult:
    """The manifest with every `split` filled in, and what was passed over on the way.

    `missing`: ids in the lists of the split but not in the folder; `excluded`: tracks of the
    folder that no list names, which are not in the manifest any more; `leaks`: groups of equal
    tracks on two sides, where that was allowed.
    """

    manifest: pd.DataFrame
    missing: list[str]
    excluded: list[str]
    leaks: list[list[str]]


def split(manifest: pd.DataFrame, settings: SplitSettings) -> SplitResult:
    """Fill `split`: from lists, from the folders the tracks lie in, or by chance.

    Raises `DataError` when a split lacks a genre, when a list names a track twice or one that is
    not there, and when copies of a track would be on two sides.
    """
    missing: list[str] = []
    excluded: list[str] = []
    if settings.split_dir:
        manifest, missing, excluded = split_by_lists(manifest, settings)
    elif (manifest["split"] == "").all():
        manifest = split_by_chance(manifest, settings)
    check_every_genre(manifest)
    leaks = leaking_groups(manifest)
    if leaks and not settings.allow_leak:
        raise DataError(
            f"{counted(len(leaks), 'track')} with copies, or other segments, in another split, for "
            f"example {few(leaks[0], ' = ')}; a test on such a split says too much. Take the "
            "copies out, or train all the same with --allow-leak"
        )
    return SplitResult(manifest, missing, excluded, leaks)


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
            raise DataError(
                f"genre {genre!r} has {counted(len(members), 'distinct track')}; at least "
                f"{len(SPLITS)} are needed, one for each of train, val and test"
            )
        order = members.iloc[rng.permutation(len(members))]
        side.update(deal(order["size"], settings))
    return manifest.assign(split=manifest["group"].map(side))


def deal(sizes: "pd.Series[int]", settings: SplitSettings) -> dict[str, str]:
    """The split of each group (the index of `sizes`), at least one group for every split."""
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
            group, size = waiting.pop()
            dealt[str(group)] = name
            n_dealt += int(size)
    dealt.update({str(group): "train" for group, _ in waiting})
    return dealt


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


def short_names(track_ids: "pd.Series[str]") -> dict[str, list[str]]:
    """Track ids by their full and their bare name, and by those of the recording.

    In Unicode's composed form: systems differ in how they write an accent.
    """
    names: dict[str, list[str]] = {}
    for track in track_ids:
        full = {composed(track), composed(recording_of(track))}
        for name in full | {name.rsplit("/", 1)[-1] for name in full}:
            names.setdefault(name, []).append(track)
    return names


def composed(name: str) -> str:
    """A name in Unicode's form NFC."""
    return unicodedata.normalize("NFC", name)


def find_tracks(name: str, names: dict[str, list[str]]) -> list[str]:
    """The track that a list means by `name`, or all segments of that recording, or none.

    A list may have the names of files, with their endings.
    """
    name = composed(name)
    found = names.get(name) or names.get(without_ending(name), [])
    if name not in names:
        name = without_ending(name)
    exact = [track for track in found if composed(track) == name]
    if exact:
        recording = recording_of(exact[0])
        return [track for track in found if recording_of(track) == recording]
    if len({recording_of(track) for track in found}) > 1:
        raise DataError(f"{name!r} could be any of {few(found)}; write the id with its folder")
    return found


def check_every_genre(manifest: pd.DataFrame) -> None:
    """Every genre must be trained on, validated and tested."""
    counts = Counter(zip(manifest["genre"], manifest["split"], strict=True))
    genres = sorted(manifest["genre"].unique())
    lacking = [f"{g!r} in {s}" for g in genres for s in SPLITS if not counts[g, s]]
    if len(genres) < 2:
        raise DataError(f"the split has one genre, {', '.join(genres) or 'none'}; two are needed")
    if lacking:
        raise DataError(f"too few tracks: there is no {few(lacking)}")


def leaking_groups(manifest: pd.DataFrame) -> list[list[str]]:
    """Groups of equal tracks on more than one side, as lists of `track_id (split)`."""
    n_sides = manifest.groupby("group")["split"].transform("nunique")
    leaking = manifest[n_sides > 1]
    return [
        [f"{row.track_id} ({row.split})" for row in group.itertuples()]
        for _, group in leaking.groupby("group")
    ]
