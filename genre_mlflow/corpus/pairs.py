"""Pairs of tracks that are one recording: equal contents, near copies, and what somebody says."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from genre_mlflow.corpus.groups import TRACK
from genre_mlflow.corpus.manifest import recordings
from genre_mlflow.corpus.near_copies import Matches, Progress, near_pairs
from genre_mlflow.corpus.settings import KINDS
from genre_mlflow.corpus.thumbnails import Thumbnails

# By what is known of a pair, the surest first. The last two are what somebody says of it.
COPY, NEAR, DOUBTFUL, CONFIRMED, APART = PAIR_KINDS = (
    "copy", "near", "doubtful", "confirmed", "apart",
)  # fmt: skip
Names = npt.NDArray[np.object_]  # of recordings, one a track
Sides = frozenset[str]  # of a split
JOINED = (COPY, NEAR, CONFIRMED)  # what `train --groups` keeps on one side


@dataclass(frozen=True)
class Pair:
    """Two recordings, by their names, and what speaks for their being one.

    `score`: 0 to 1. `shift`: where the second begins in the first, in seconds, or as a share of a
    picture's width where nobody knows its seconds (`in_seconds`). `places`: the pictures that are
    most like each other, by their places among the thumbnails. `known`: what a table of groups
    says. `same`: what somebody says, yes, no or nothing. `genres` of both, and their `splits`,
    several where segments lie in several.
    """

    one: str
    other: str
    kind: str
    score: float = 1.0
    prominence: float = 0.0
    shift: float = 0.0
    in_seconds: bool = True
    places: tuple[int, int] = (-1, -1)
    known: str = ""
    same: str = ""
    genres: tuple[str, str] = ("", "")
    splits: tuple[Sides, Sides] = (frozenset(), frozenset())

    @property
    def names(self) -> frozenset[str]:
        """Both names, in no order."""
        return frozenset((self.one, self.other))

    @property
    def has_two_genres(self) -> bool:
        """Whether the two do not agree."""
        return self.genres[0] != self.genres[1]

    @property
    def has_two_sides(self) -> bool:
        """Whether a split has them on two sides."""
        return len(self.splits[0] | self.splits[1]) > 1

    @property
    def shift_text(self) -> str:
        """The shift as people read it; empty for equal contents."""
        if self.kind == COPY or min(self.places) < 0:
            return ""
        if self.in_seconds:
            return f"{round(self.shift, 1) + 0.0:+.1f} s"  # + 0.0: no negative zero
        return f"{round(self.shift, 3) + 0.0:+.1%}"


def find_pairs(
    manifest: pd.DataFrame,
    pictures: Thumbnails,
    progress: Progress = lambda done, total: None,
) -> list[Pair]:
    """Pairs of recordings of the manifest; segments of one are no pair. Surest pairs first.

    Of each recording one segment, that in the middle, is looked for in all the others.
    """
    names = np.array(recordings(manifest), object)
    group = pd.factorize(manifest["group"])[0][pictures.track]
    probes = middles(names[pictures.track])
    matches = near_pairs(pictures.levels, group, probes, progress)
    return in_order([*equal_pairs(manifest, names), *best_pairs(matches, pictures, names)])


def with_sides(pairs: Sequence[Pair], manifest: pd.DataFrame) -> list[Pair]:
    """The pairs with the genres and the splits of both."""
    names = recordings(manifest)
    genre = dict(zip(names, manifest["genre"], strict=True))
    sides: dict[str, Sides] = dict.fromkeys(names, frozenset())
    for name, split in zip(names, manifest["split"], strict=True):
        sides[name] |= {split} - {""}
    return [
        replace(p, genres=(genre[p.one], genre[p.other]), splits=(sides[p.one], sides[p.other]))
        for p in pairs
    ]


def in_order(pairs: Iterable[Pair]) -> list[Pair]:
    """By kind, then by score, then by name."""
    return sorted(pairs, key=lambda p: (PAIR_KINDS.index(p.kind), -p.score, p.one, p.other))


def middles(owners: Names) -> list[int]:
    """The place of the middle one of each owner's segments."""
    places = pd.Series(range(len(owners))).groupby(owners, sort=False)
    return [int(some.iloc[(len(some) - 1) // 2]) for _, some in places]


def equal_pairs(manifest: pd.DataFrame, names: Names) -> list[Pair]:
    """Recordings with equal contents, directly or by way of others: each with the first of them.

    First is one that a split has, if any does, so that copies on two sides are a pair.
    """
    listed = set(names[(manifest["split"] != "").to_numpy()])
    by_group = pd.Series(names, manifest.index).groupby(manifest["group"])
    found = []
    for _, some in by_group:
        first, *others = sorted(set(some), key=lambda name: (name not in listed, name))
        found += [Pair(min(first, other), max(first, other), COPY) for other in others]
    return found


def best_pairs(matches: Matches, pictures: Thumbnails, names: Names) -> list[Pair]:
    """Of all the matches between two recordings the one with the best score."""
    best: dict[frozenset[str], Pair] = {}
    for row, is_sure in enumerate(matches.is_sure):
        places = int(matches.one[row]), int(matches.other[row])
        first, second = (names[pictures.track[place]] for place in places)
        shift, in_seconds = shift_between(*places, float(matches.shift[row]), pictures)
        score, prominence = float(matches.score[row]), float(matches.prominence[row])
        kind = NEAR if is_sure else DOUBTFUL
        if second < first:
            first, second, shift, places = second, first, -shift, (places[1], places[0])
        pair = Pair(first, second, kind, score, prominence, shift, in_seconds, places)
        before = best.get(pair.names)
        if before is None or (kind == NEAR, score) > (before.kind == NEAR, before.score):
            best[pair.names] = pair
    return list(best.values())


def shift_between(one: int, other: int, shift: float, pictures: Thumbnails) -> tuple[float, bool]:
    """From pictures, which segments are given by their places, to seconds where they are known.

    An image is taken to begin its recording, and to be as long as the picture of a recording that
    it is like.
    """
    lengths = pictures.length_s[[one, other]]
    if np.isnan(lengths).all():
        return shift, False
    start_s, other_s = np.nan_to_num(pictures.start_s[[one, other]])
    length_s = lengths[0] if np.isfinite(lengths[0]) else lengths[1]
    return float(start_s + shift * length_s - other_s), True


def with_known(
    pairs: Sequence[Pair], manifest: pd.DataFrame, table: pd.DataFrame, rows: Mapping[str, str]
) -> list[Pair]:
    """The pairs with what a table of groups says of them: one recording, one artist, others.

    `rows`: the id in the table by that of the track.
    """
    names = dict(zip(manifest["track_id"], recordings(manifest), strict=True))
    by_name = {names[track]: row for track, row in rows.items()}
    values = table.set_index(TRACK).to_dict("index")

    def known(pair: Pair) -> str:
        if pair.one not in by_name or pair.other not in by_name:
            return ""
        return known_of(*(values[by_name[name]] for name in (pair.one, pair.other)))

    return [replace(pair, known=known(pair)) for pair in pairs]


def known_of(ours: Mapping[Hashable, str], theirs: Mapping[Hashable, str]) -> str:
    """What two rows of a table of groups say of each other; nothing where cells are empty."""
    artist, recording = (bool(ours[kind]) and ours[kind] == theirs[kind] for kind in KINDS)
    if recording:  # which says more than one artist
        return "known as one recording"
    if ours["recording"] and theirs["recording"]:
        return f"known as two recordings{' by one artist' if artist else ''}"
    return "known as one artist" if artist else ""
