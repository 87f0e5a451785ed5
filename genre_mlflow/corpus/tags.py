"""Artist and album of recordings, from the tags in their files, as a table of groups."""

import threading
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mutagen
import numpy as np
import pandas as pd
from mutagen import apev2
from mutagen.id3 import _frames

from genre_mlflow.corpus.groups import TRACK
from genre_mlflow.corpus.manifest import recording_of
from genre_mlflow.errors import DataError
from genre_mlflow.files.atomic import atomic_write
from genre_mlflow.files.names import as_seen, escaped
from genre_mlflow.files.words import counted

ARTIST, ALBUM, ALBUM_ARTIST = COLUMNS = ("artist", "album", "albumartist")
# What each is called by mutagen's easy interface, in ID3, in ASF, and in APE tags.
NAMES = {
    ARTIST: ("artist", "TPE1", "Author"),
    ALBUM: ("album", "TALB", "WM/AlbumTitle"),
    ALBUM_ARTIST: ("albumartist", "TPE2", "WM/AlbumArtist", "album artist"),
}
# What stands where nobody is known, or too many to be one, as `as_seen` has it.
NOBODY = frozenset({
    "unknown", "unknown artist", "unknown album", "untitled", "none", "n/a", "no artist",
    "no album", "various", "various artists", "va", "v.a.", "v/a",
})  # fmt: skip
LONGEST = 200  # letters of a name; what follows is no part of one
INFLATED = 1 << 20  # bytes that the compressed fields of a file may have together


@dataclass(frozen=True)
class Tagged:
    """A table of groups by the tags of files, and how many of these could not be read.

    Columns: `track_id`, `artist`, `album` with whose it is, and `albumartist`, empty where they are
    not known.
    """

    table: pd.DataFrame
    n_unreadable: int

    @property
    def summary(self) -> str:
        """How many names of each kind there are, and how many tracks have none."""
        lines = [
            f"{column}: {counted(found.nunique(), 'name')} on {counted(len(found), 'track')}, "
            f"{len(self.table) - len(found):,} without one, each a group of its own"
            for column in COLUMNS
            for found in [self.table[column][self.table[column] != ""]]
        ]
        bad = f"tags that cannot be read: {counted(self.n_unreadable, 'file')}"
        return "\n".join(lines + [bad] * bool(self.n_unreadable))


def tagged(manifest: pd.DataFrame) -> Tagged:
    """What the files of a manifest say of themselves, names that look alike in one spelling.

    Segments beside the whole recording have no row: its row means them, too.
    """
    ids = set(manifest[TRACK])
    is_meant = [recording_of(one) != one and recording_of(one) in ids for one in manifest[TRACK]]
    rows = manifest[~np.array(is_meant, bool)]
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(read_tags, rows["path"]))
    names = [one or {} for one in found]
    columns = {column: one_spelling([name.get(column, "") for name in names]) for column in COLUMNS}
    named = pd.DataFrame({TRACK: list(rows[TRACK]), **columns}, dtype=str)
    table = named.assign(**{column: named[column].map(somebody) for column in COLUMNS})
    owners = table[ALBUM_ARTIST].where(named[ALBUM_ARTIST] != "", table[ARTIST])
    is_owned = (table[ALBUM] != "") & (owners != "")
    table[ALBUM] = table[ALBUM].mask(is_owned, table[ALBUM] + " (" + owners + ")")
    return Tagged(table, found.count(None))


def read_tags(path: str) -> dict[str, str] | None:
    """Names of one file, empty where there is none; None for tags that cannot be read."""
    bound_inflating()
    try:
        tags = tags_of(path)
        return {column: name_in(tags, NAMES[column]) for column in COLUMNS}
    except Exception:  # what a hostile tag makes mutagen raise is nowhere listed
        return None


def tags_of(path: str) -> Any:
    """The tags of a file, a mapping as mutagen has them; nothing where there are none."""
    file = mutagen.File(path, easy=True)
    if file is not None and file.tags:
        return file.tags
    try:
        return apev2.APEv2(path)  # behind an MP3, too
    except apev2.APENoHeaderError:
        return {}


def name_in(tags: Any, names: Sequence[str]) -> str:
    """The first of the values of the first of these names that is there, or nothing."""
    for name in names:
        value = tags.get(name)
        value = getattr(value, "text", value)  # of a frame of ID3
        first = value[0] if isinstance(value, list) and value else value
        text = " ".join(str(first or "").split("\0")[0].split())[:LONGEST]
        if text:
            return escaped(text)
    return ""


def somebody(name: str) -> str:
    """The same name; nothing of one that stands where nobody is known."""
    return "" if as_seen(name).strip("[]<>() ") in NOBODY else name


def one_spelling(names: Sequence[str]) -> list[str]:
    """The same names, of those that look alike the first one."""
    first: dict[str, str] = {}
    return [first.setdefault(as_seen(name), name) for name in names]


class Budget(threading.local):
    """What the file that this thread reads may still inflate, in bytes."""

    left = 0


BUDGET = Budget()


def bound_inflating() -> None:
    """Let the ID3 tag that is read next inflate to `INFLATED`: mutagen itself sets no bound.

    Raises `DataError` for a mutagen that would not keep to it.
    """
    if not hasattr(_frames, "zlib"):
        raise DataError(
            f"mutagen {mutagen.version_string} inflates tags in a way of its own, without a bound; "
            "tags are read with mutagen 1.47"
        )
    vars(_frames)["zlib"] = SimpleNamespace(decompress=inflate, error=zlib.error)
    BUDGET.left = INFLATED


def inflate(data: bytes) -> bytes:
    """The same as `zlib.decompress`, which raises `zlib.error` for too much, too."""
    if not BUDGET.left:
        raise zlib.error("too long for a tag")
    stream = zlib.decompressobj()
    found = stream.decompress(data, BUDGET.left)
    BUDGET.left -= len(found)
    if not stream.eof:
        raise zlib.error("cut off, or too long for a tag")
    return found


def write_tagged(found: Tagged, out: Path) -> None:
    """Write the table as CSV, for `--groups`."""
    with atomic_write(out) as file:
        file.write(found.table.to_csv(index=False, lineterminator="\n").encode())
