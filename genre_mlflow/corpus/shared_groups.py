"""Groups of a table that a split parts: tracks of one artist, or of one recording, on two sides."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from genre_mlflow.corpus.groups import kinds_of
from genre_mlflow.corpus.settings import SPLITS
from genre_mlflow.files.names import escaped
from genre_mlflow.files.words import counted, few

RECORDING = "recording"
LINKED = "group"  # has no artist and no recording on two sides, but a chain of them


@dataclass(frozen=True)
class SharedGroup:
    """Tracks that have an artist, a recording or the like on more than one side of a split.

    `kind`: the column of the table; `name`: what stands in it; that of a chain is its first track.
    `tracks`: the split by track id.
    """

    kind: str
    name: str
    tracks: dict[str, str]

    def __str__(self) -> str:
        """Of each side one track: `artist 17 (5 tracks: jazz/1 in train, jazz/2 in test)`."""
        name = self.name if self.name.startswith(self.kind) else f"{self.kind} {self.name}"
        first = {side: track for track, side in reversed(self.tracks.items())}
        shown = ", ".join(f"{first[side]} in {side}" for side in SPLITS if side in first)
        return escaped(f"{name} ({counted(len(self.tracks), 'track')}: {shown})")


def shared_groups(manifest: pd.DataFrame, known: pd.DataFrame) -> list[SharedGroup]:
    """All such groups of a split, recordings first, and of each kind those of most tracks.

    `known`: as `known_groups` gives it, of these tracks or more. A chain is told only where nothing
    in it is; copies alone are none, as those are leaks.
    """
    copies = dict(zip(manifest["track_id"], manifest["group"], strict=True))
    rows = manifest[["track_id", "split"]].merge(known.rename(columns={"group": LINKED}))
    found = [one for kind in reversed(kinds_of(known)) for one in shared_of(kind, rows)]
    told = {track for one in found for track in one.tracks}
    chains = [
        chain for chain in shared_of(LINKED, rows)
        if told.isdisjoint(chain.tracks) and len({copies[track] for track in chain.tracks}) > 1
    ]  # fmt: skip
    return found + chains


def shared_of(kind: str, rows: pd.DataFrame) -> list[SharedGroup]:
    """Those of one column, those of most tracks first."""
    found = [
        SharedGroup(kind, str(name), dict(zip(part["track_id"], part["split"], strict=True)))
        for name, part in rows[rows[kind] != ""].groupby(kind)
        if part["split"].nunique() > 1
    ]
    return sorted(found, key=lambda one: -len(one.tracks))


def how_many(shared: Sequence[SharedGroup]) -> str:
    """`1 recording and 13 artists on two sides of the split, 102 tracks in all`."""
    kinds = Counter(one.kind for one in shared)  # in the order in which they were found
    texts = [counted(n, kind) for kind, n in kinds.items()]
    n_tracks = len({track for one in shared for track in one.tracks})
    tracks = counted(n_tracks, "track")
    return f"{' and '.join(texts)} on two sides of the split, {tracks} in all"


def in_words(shared: Sequence[SharedGroup]) -> str:
    """How many there are, the first by name, and what that does to a test."""
    names = few([str(one) for one in shared], "; ")
    heard = any(one.kind == RECORDING for one in shared)
    effect = "of one recording twice, a test measures memory"
    return f"{how_many(shared)}: {names}; {effect if heard else 'a test says too much of them'}"
