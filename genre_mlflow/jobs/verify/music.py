"""The music of a run as it lies in its folder now, and what has changed there."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from genre_mlflow.corpus.corpus import Corpus, corpus_folder
from genre_mlflow.corpus.folders import BadFile
from genre_mlflow.corpus.manifest import digest
from genre_mlflow.corpus.scan import scan
from genre_mlflow.corpus.settings import SPLITS
from genre_mlflow.corpus.splits import SplitResult, split
from genre_mlflow.errors import DataError, GenreError
from genre_mlflow.jobs.card.facts import RunFacts
from genre_mlflow.jobs.tracks import suited
from genre_mlflow.jobs.verify.differences import Difference
from genre_mlflow.tracking.registry import MANIFEST_FILE

SHOWN = 12  # letters of a checksum
NOT_LISTED = "in_the_folder_but_not_listed"  # among the faults of a corpus


@dataclass(frozen=True)
class MusicNow:
    """The tracks of a run with the split of the run, how they have changed, and what is not known.

    Tracks that are gone are not among them.
    """

    corpus: Corpus
    differences: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def music_now(facts: RunFacts) -> MusicNow:
    """Scan the folder of a run and deal its split anew.

    Raises `DataError` where the folder is gone, or all tracks of a split are.
    """
    options = facts.options
    options.corpus.check_folder()
    folder = corpus_folder(options.corpus.data)
    scanned = scan(folder, "skip")
    found = manifest_changed(facts) + tracks_changed(facts, scanned.manifest, scanned.bad_files)
    notes, dealt = [], None
    try:
        dealt = split(scanned.manifest, options.split)
    except GenreError as error:
        notes.append(f"the split cannot be dealt anew, so that of the run counts: {error}")
    if dealt is not None and not found:
        corpus = suited(
            Corpus(facts.corpus, folder, dealt, scanned.bad_files, scanned.notes), options
        )
        if corpus.digest == facts.digest:
            return MusicNow(corpus)
        found = dealt_otherwise(facts, corpus.manifest)
        found.append(Difference("digest of data and split", facts.digest, corpus.digest))
    manifest = kept_tracks(facts, scanned.manifest)
    for name in SPLITS:
        if not (manifest["split"] == name).any():
            raise DataError(f"{folder} has no track left of {name} of run {facts.run_id}")
    groups = facts.predictions[["track_id", "group"]].itertuples(index=False)
    kept = SplitResult(manifest, [], [], [], dict(groups))
    return MusicNow(Corpus(facts.corpus, folder, kept, scanned.bad_files), found, notes)


def manifest_changed(facts: RunFacts) -> list[Difference]:
    """That the manifest among the run's artifacts is not that of its training."""
    now = digest(facts.manifest)
    same = now == facts.digest
    return [] if same else [Difference(f"digest of {MANIFEST_FILE}", facts.digest, now)]


def tracks_changed(facts: RunFacts, now: pd.DataFrame, bad: Sequence[BadFile]) -> list[Difference]:
    """Tracks of the run that are gone, elsewhere or of other bytes, and new ones."""
    places = dict(zip(now["sha256"], now["track_id"], strict=True))
    sums = dict(zip(now["track_id"], now["sha256"], strict=True))
    reasons = {str(file.path): file.reason for file in bad}
    columns = ["track_id", "path", "genre", "sha256", "split"]
    found = []
    for track, path, genre, sha256, side in facts.manifest[columns].values.tolist():
        if track not in sums:
            here = f"now {places[sha256]}" if sha256 in places else reasons.get(path, "missing")
            found.append(Difference(f"track {track}", f"{genre}, in {side}", here))
        elif sums[track] != sha256:
            old, new = (f"sha256 {one[:SHOWN]}" for one in (sha256, sums[track]))
            found.append(Difference(f"track {track}", old, new))
    return found + new_tracks(facts, now)


def new_tracks(facts: RunFacts, now: pd.DataFrame) -> list[Difference]:
    """Tracks that the run did not know of; they would change a split that is dealt by chance."""
    if facts.options.split.split_dir:
        return []
    known = {*facts.manifest["track_id"], *facts.faults.get(NOT_LISTED, [])}
    moved = {*facts.manifest["sha256"]}
    rows = now[~now["track_id"].isin(known) & ~now["sha256"].isin(moved)]
    return [
        Difference(f"track {row.track_id}", "", f"{row.genre}, new") for row in rows.itertuples()
    ]


def dealt_otherwise(facts: RunFacts, now: pd.DataFrame) -> list[Difference]:
    """Tracks that the split deals to another side now, or to none."""
    sides = dict(zip(now["track_id"], now["split"], strict=True))
    known = zip(facts.manifest["track_id"], facts.manifest["split"], strict=True)
    return [
        Difference(f"split of {track}", side, sides.get(track, "none"))
        for track, side in known
        if sides.get(track) != side
    ]


def kept_tracks(facts: RunFacts, now: pd.DataFrame) -> pd.DataFrame:
    """The manifest of the run with the files as they are now, without those that are gone."""
    files = now.set_index("track_id")
    here = facts.manifest[facts.manifest["track_id"].isin(files.index)].reset_index(drop=True)
    columns = ("path", "sha256", "format")
    own = {name: files.loc[here["track_id"], name].to_numpy() for name in columns}
    return here.assign(**own)
