"""A folder of music checked for recordings that it has twice."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from genre_mlflow.corpus.corpus import corpus_folder
from genre_mlflow.corpus.folders import BadFile
from genre_mlflow.corpus.groups import groups_from, rows_by_track
from genre_mlflow.corpus.manifest import recordings
from genre_mlflow.corpus.pair_tables import still_joined
from genre_mlflow.corpus.pairs import (
    DOUBTFUL,
    PAIR_KINDS,
    Pair,
    find_pairs,
    with_known,
    with_sides,
)
from genre_mlflow.corpus.scan import scan
from genre_mlflow.corpus.settings import CorpusSettings, SplitSettings
from genre_mlflow.corpus.splits import split_by_lists
from genre_mlflow.corpus.thumbnails import Thumbnails, thumbnails
from genre_mlflow.corpus.verdicts import judged, of_folder, verdicts_from
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.files.words import counted, few

Progress = Callable[[str, int, int], None]  # what is done, how many of them, and of how many


@dataclass(frozen=True)
class Checked:
    """The pairs of a folder, and what they were found by.

    `pictures`: of the rows of `manifest`, whose `split` is empty where there is none. `left_out`:
    how many judged pairs there are that name what the folder has not.
    """

    manifest: pd.DataFrame
    pictures: Thumbnails
    pairs: list[Pair]
    bad_files: list[BadFile]
    left_out: int = 0

    @property
    def doubtful(self) -> list[Pair]:
        """Pairs that somebody should look at."""
        return [pair for pair in self.pairs if pair.kind == DOUBTFUL]

    @property
    def lines(self) -> list[str]:
        """A line for each pair, its parts with tabs between them."""
        return [
            "\t".join([p.one, p.other, p.kind, f"{p.score:.2f}", p.shift_text, p.known]).rstrip()
            for p in self.pairs
        ]

    @property
    def summary(self) -> str:
        """How many pairs there are, and which verdicts have no effect."""
        joined = still_joined(self.pairs, self.manifest)
        return "\n".join([summary(self.pairs), *without_effect(joined, self.left_out)])


def check_corpus(
    settings: CorpusSettings,
    dealing: SplitSettings,
    drawing: PreprocessingSettings,
    confirmed: str = "",
    progress: Progress = lambda what, done, total: None,
) -> Checked:
    """Find the recordings that a folder has twice; one genre is enough.

    `confirmed`: a table of judged pairs. Raises `DataError` for what a scan refuses, and for tables
    and lists that do not fit the folder.
    """
    table = groups_from(Path(dealing.groups)) if dealing.groups else None
    said = verdicts_from(Path(confirmed)) if confirmed else {}
    scanned = scan(corpus_folder(settings.data), settings.on_bad_file, fewest_genres=1)
    manifest = with_split(scanned.manifest, dealing)
    groups = dict(zip(recordings(manifest), manifest["group"], strict=True))
    verdicts = of_folder(said, groups, dealing.on_missing)
    if table is not None:
        rows = rows_by_track(manifest["track_id"], table, dealing.on_missing)
    pictures, bad = thumbnails(manifest, drawing, partial(progress, "reading"))
    pairs = find_pairs(manifest, pictures, partial(progress, "comparing"))
    if table is not None:
        pairs = with_known(pairs, manifest, table, rows)
    pairs = with_sides(judged(pairs, verdicts), manifest)
    bad_files = [*scanned.bad_files, *bad]
    return Checked(manifest, pictures, pairs, bad_files, len(said) - len(verdicts))


def with_split(manifest: pd.DataFrame, dealing: SplitSettings) -> pd.DataFrame:
    """All of the manifest, with the split of the lists where there are any."""
    if not dealing.split_dir:
        return manifest
    listed, _, _ = split_by_lists(manifest, dealing)
    side = dict(zip(listed["track_id"], listed["split"], strict=True))
    return manifest.assign(split=manifest["track_id"].map(side).fillna(""))


def summary(pairs: Sequence[Pair]) -> str:
    """How many pairs there are of each kind, with two genres, and on two sides of a split."""
    if not pairs:
        return "No pair of tracks is alike"
    kinds = Counter(pair.kind for pair in pairs)
    texts = [f"{kinds[kind]} {kind}" for kind in PAIR_KINDS if kinds[kind]]
    two_genres = sum(pair.has_two_genres for pair in pairs)
    lines = [f"{counted(len(pairs), 'pair')}: {', '.join(texts)}"]
    lines.append(f"{two_genres} of them have two genres")
    if any(any(pair.splits) for pair in pairs):
        two_sides = Counter(pair.kind for pair in pairs if pair.has_two_sides)
        of_kinds = ", ".join(f"{n} {kind}" for kind, n in two_sides.items())
        on_two = f"{two_sides.total()} of them are on two sides of the split"
        lines.append(f"{on_two}: {of_kinds}" if two_sides else on_two)
    return "\n".join(lines)


def without_effect(joined: Sequence[Pair], left_out: int) -> list[str]:
    """A line for verdicts that part nothing, and one for those of what the folder has not."""
    lines = []
    if joined:
        names = few([f"{pair.one} and {pair.other}" for pair in joined], "; ")
        lines.append(f"Judged apart, but joined by way of other tracks: {names}")
    if left_out:
        lines.append(f"Left out: {counted(left_out, 'verdict')} on what the folder has not")
    return lines
