"""A corpus: a folder of music that has been scanned and split, and what is wrong with it."""

import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from genre_mlflow.corpus.demo.images import demo_folder, make_demo
from genre_mlflow.corpus.faults import SHOWN, bad_lines
from genre_mlflow.corpus.folders import BadFile
from genre_mlflow.corpus.groups import groups_from
from genre_mlflow.corpus.manifest import conflicting_groups, copied_groups, digest
from genre_mlflow.corpus.scan import scan
from genre_mlflow.corpus.settings import DEMO, SPLITS, CorpusSettings, SplitSettings
from genre_mlflow.corpus.splits import SplitResult, split
from genre_mlflow.errors import DataError
from genre_mlflow.features.colours import levels_of
from genre_mlflow.features.formats.kinds import IMAGES
from genre_mlflow.features.images import decode_image
from genre_mlflow.features.preprocessing import further_decoders, read
from genre_mlflow.files.atomic import atomic_write
from genre_mlflow.files.home import home
from genre_mlflow.files.names import escaped, printable

BAD_FILES = "bad_files"
LEAKS = "copies_in_two_splits"
SHARED = "groups_in_two_splits"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Corpus:
    """A scanned and split folder of music."""

    name: str
    folder: Path
    split: SplitResult
    bad_files: list[BadFile]
    notes: dict[str, list[str]] = field(default_factory=dict)

    @property
    def manifest(self) -> pd.DataFrame:
        """One row a track; every `split` is filled in."""
        return self.split.manifest

    @property
    def genres(self) -> list[str]:
        """Genre names in the order of the network's outputs."""
        return sorted(self.manifest["genre"].unique())

    @property
    def digest(self) -> str:
        """Names all tracks, their genres and splits."""
        return digest(self.manifest)

    def rows(self, name: str) -> pd.DataFrame:
        """The manifest of one split."""
        return self.manifest[self.manifest["split"] == name]

    def grouped_rows(self, name: str) -> pd.DataFrame:
        """The same with all that belongs together, as a table of groups says, in one `group`.

        So predictions tables have it, whose intervals are over groups.
        """
        grouped = self.split.grouped
        return grouped[grouped["split"] == name]

    def counts(self) -> dict[str, int]:
        """Tracks in train, val and test."""
        return {name: len(self.rows(name)) for name in SPLITS}

    @property
    def images(self) -> pd.DataFrame:
        """The rows of the manifest that are images."""
        return self.manifest[self.manifest["format"].isin(IMAGES.values())]

    @cached_property
    def colour_maps(self) -> list[str]:
        """The colour maps of the images, by the first one of each genre; empty without images.

        Raises `DataError` for one whose colours are those of no known map.
        """
        found = set()
        for path in self.images.groupby("genre")["path"].first():
            try:
                found.add(levels_of(decode_image(read(path)))[1])
            except DataError as error:
                raise DataError(f"{path} {error}") from error
        return sorted(found)

    def formats(self) -> str:
        """How many files of each format there are, and what has read the less common ones."""
        counts = Counter(sorted(self.manifest["format"])).most_common()
        others = {name: n for name, n in counts if further_decoders([name])}
        read = "".join(f", {sum(others.values())} of them by {d}" for d in further_decoders(others))
        return ", ".join(f"{n} {name}" for name, n in counts) + read


Dealer = Callable[[pd.DataFrame, SplitSettings], SplitResult]


def open_corpus(settings: CorpusSettings, dealing: SplitSettings, deal: Dealer = split) -> Corpus:
    """Scan and split a folder; `demo` is the built-in corpus, made first where it is missing.

    Groups of a table that are on two sides of a given split are told in one line, where they are
    not refused. `deal`: who splits it.
    """
    if dealing.groups:
        # A mistake in it is told before the files are read.
        groups_from(Path(dealing.groups), dealing.group_by)
    folder = corpus_folder(settings.data)
    scanned = scan(folder, settings.on_bad_file)
    dealt = deal(scanned.manifest, dealing)
    if dealt.warning:
        logger.warning("Warning: %s", dealt.warning)
    name = corpus_name(settings.data)
    return Corpus(name, folder, dealt, scanned.bad_files, scanned.notes)


def corpus_folder(data: str) -> Path:
    """Where a corpus lies."""
    return make_demo(demo_folder(home())) if data == DEMO else Path(data).absolute()


def corpus_name(data: str) -> str:
    """What a corpus is called."""
    return DEMO if data == DEMO else Path(data).absolute().name


def bad_files(bad: Sequence[BadFile]) -> dict[str, Sequence[object]]:
    """Bad files among the faults."""
    return {BAD_FILES: [{"path": str(file.path), "reason": file.reason} for file in bad]}


def faults(corpus: Corpus) -> dict[str, Sequence[object]]:
    """What was found wrong with the corpus, and what was done without."""
    return {
        **bad_files(corpus.bad_files),
        "copies": copied_groups(corpus.manifest),
        "copies_with_different_genres": conflicting_groups(corpus.manifest),
        LEAKS: corpus.split.leaks,
        SHARED: [asdict(one) for one in corpus.split.shared],
        "listed_but_missing": corpus.split.missing,
        "in_the_folder_but_not_listed": corpus.split.excluded,
        **corpus.notes,
    }


def overview(corpus: Corpus) -> str:
    """Tracks by genre and split, formats, and the first of the faults found, for a terminal."""
    table = pd.crosstab(corpus.manifest["genre"], corpus.manifest["split"])[list(SPLITS)]
    table.loc["all"] = table.sum()
    lines = [table.rename(index=escaped).to_string(), f"files: {corpus.formats()}"]
    for name, found in faults(corpus).items():
        if found:
            lines.append(f"{name.replace('_', ' ')}: {len(found)}")
            if name == SHARED:
                found = [str(group) for group in corpus.split.shared]
            texts = bad_lines(corpus.bad_files) if name == BAD_FILES else fault_texts(found)
            lines += [f"  {text}" for text in texts]
    return "\n".join(lines)


def fault_texts(found: Sequence[object]) -> list[str]:
    """The first faults of a kind, a line each."""
    texts = [" = ".join(one) if isinstance(one, list) else str(one) for one in found[:SHOWN]]
    more = [f"... and {len(found) - SHOWN:,} more"] if len(found) > SHOWN else []
    return [printable(Path(text)) for text in texts] + more


def is_cut(corpus: Corpus) -> bool:
    """Whether `overview` leaves faults out."""
    return any(len(found) > SHOWN for found in faults(corpus).values())


def write_faults(found: Mapping[str, Sequence[object]], file: Path) -> None:
    """Write faults as JSON, as a run has them in `data/faults.json`."""
    with atomic_write(file) as out:
        out.write((json.dumps(found, indent=2, sort_keys=True) + "\n").encode())
