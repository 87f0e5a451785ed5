"""The manifest: a table with one row a track, its groups and its digest."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

COLUMNS = ["track_id", "path", "genre", "group", "sha256", "split", "format"]
DIGEST_CHARACTERS = 32  # MLflow takes up to 36
SEGMENT = re.compile(r"\.seg\d{3,}$")  # ends the id of one of several segments of a recording


def recording_of(track: str) -> str:
    """The id of the recording that a track is a segment of, or the track's own."""
    return SEGMENT.sub("", track)


def recordings(manifest: pd.DataFrame) -> list[str]:
    """What each track is, or is a segment of.

    Segments of one name in train, val and test are of one recording whose segments were dealt out,
    unless a number is among them twice: then each of the folders has a recording of that name.
    """
    ids = list(manifest["track_id"])
    below = [
        track.removeprefix(f"{split}/") if split and SEGMENT.search(track) else track
        for track, split in zip(ids, manifest["split"], strict=True)
    ]
    times = Counter(below)
    several = {recording_of(track) for track in below if times[track] > 1}
    return [
        recording_of(track if recording_of(part) in several else part)
        for track, part in zip(ids, below, strict=True)
    ]


def name_groups(manifest: pd.DataFrame) -> "pd.Series[str]":
    """Join equal contents (in `group`) and segments of one recording, directly or by way of others.

    Each group is named after its first track.
    """
    component = components(recordings(manifest), manifest["group"])
    return manifest.groupby(component)["track_id"].transform("first")


def components(one: Iterable[str], other: Iterable[str]) -> np.ndarray:
    """Number rows that have two keys each, int32 `[row]`.

    Rows that share a key, directly or by way of others, have the same number.
    """
    from scipy.sparse.csgraph import connected_components  # half a second that predicting can save

    ones, _ = pd.factorize(np.array(list(one), object))
    others, _ = pd.factorize(np.array(list(other), object))
    n_nodes = 2 * len(ones)  # keys of the one kind, then of the other; each row links one of either
    links = (np.ones(len(ones)), (ones, len(ones) + others))
    _, component = connected_components(csr_array(links, shape=(n_nodes, n_nodes)), directed=False)
    numbers: np.ndarray = component[ones]
    return numbers


def conflicting_groups(manifest: pd.DataFrame) -> list[list[str]]:
    """Groups with different genres, as lists of the ids of their recordings."""
    conflicts = manifest[manifest.groupby("group")["genre"].transform("nunique") > 1]
    groups = [group["track_id"].map(recording_of) for _, group in conflicts.groupby("group")]
    return [list(recordings.unique()) for recordings in groups]


def copied_groups(manifest: pd.DataFrame) -> list[list[str]]:
    """Groups of two recordings and more, as lists of their ids."""
    copies = manifest[manifest["group"].duplicated(keep=False)]
    groups = [group["track_id"].map(recording_of) for _, group in copies.groupby("group")]
    return [list(recordings.unique()) for recordings in groups if recordings.nunique() > 1]


def digest(manifest: pd.DataFrame) -> str:
    """32 hexadecimal characters that name the tracks, their contents, genres and splits.

    Where the files lie does not matter, nor their order.
    """
    return digest_rows(manifest[["track_id", "genre", "group", "sha256", "split"]].values.tolist())


def digest_rows(rows: Iterable[Iterable[str]]) -> str:
    """Digest of rows of strings, whatever their order."""
    text = "\n".join(sorted("\t".join(row) for row in rows))
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_CHARACTERS]
