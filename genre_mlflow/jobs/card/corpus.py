"""The section of the card about the data: digests, split, faults, licence."""

import re
from pathlib import Path

import pandas as pd

from genre_mlflow.corpus.corpus import BAD_FILES, LEAKS, SHARED
from genre_mlflow.corpus.manifest import recording_of
from genre_mlflow.corpus.settings import ALL, DEMO, KINDS, SplitSettings
from genre_mlflow.jobs.card.facts import ModelFacts, RunFacts
from genre_mlflow.jobs.card.markup import code, plain, table

NO_COPIES = "Copies (equal pixels or samples) are never in two splits."
NO_GROUPS = " Nor are groups of the table {table}, by {columns}."
LEAK = "**A leak: {leak}; the test says too much.** All of them are in `data/faults.json`."
LET = " `--allow-leak` has let them."
FILES = """The manifest with every track's checksum, split and format is in `data/manifest.csv`,
faults of the corpus are in `data/faults.json`."""
FAULTS = {  # in the order in which they are told
    BAD_FILES: "files that cannot be used, left out",
    "copies": "groups of copies (equal pixels or samples)",
    "copies_with_different_genres": "of these, with different genres",
    LEAKS: "tracks with copies in another split",
    SHARED: "artists or recordings of the table in two splits",
    "listed_but_missing": "listed in the split, but missing",
    "in_the_folder_but_not_listed": "in the folder, but in no list of the split",
}
OURS = """Licence of the data: the demo corpus is synthesised by genre-mlflow itself and comes under
its licence, Apache-2.0."""
STATED = "Licence of the data, as whoever trained the model states it: {licence}."
NOT_STATED = "Licence of the data: nobody has stated one (`--data-licence`)."
GTZAN = """The tracks have the names and genres of GTZAN (Tzanetakis and Cook 2002), excerpts of
recordings that others own, which was published without a licence. Its known faults (Sturm 2013,
arXiv:1306.1461): copies, many tracks of one artist, labels that can be disputed, distortions; on
random splits its figures say too much."""
GTZAN_GENRES = {"blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop",
                "reggae", "rock"}  # fmt: skip
GTZAN_TRACK = re.compile(rf"(?:.*/)?({'|'.join(sorted(GTZAN_GENRES))})\.\d{{5}}")
DEMO_LICENCE = "Apache-2.0"


def data(facts: RunFacts) -> list[str]:
    """Which corpus, how it was split, what is wrong with it and whose it is."""
    n, formats = facts.counts, plain(facts.tags.get("formats", ""))
    split = facts.options.split.split_dir
    return [
        "## Data",
        "",
        f"Corpus {code(facts.corpus)}: {n['train']} files to train on, {n['val']} to validate, "
        f"{n['test']} to test;",
        f"{formats}.",
        what_leaks(facts.options.split, facts.leak),
        "",
        *table(("digest", ""), [("data and split", code(facts.digest)),
                                ("test set", code(facts.test_digest))]),
        "",
        f"Split {code(Path(split).name) if split else 'dealt by chance'}. {FILES}",
        *found_faults(facts),
        *whose(facts),
    ]  # fmt: skip


def what_leaks(dealing: SplitSettings, leak: str) -> str:
    """What is on two sides of the split, or what is on none."""
    if leak:
        return LEAK.format(leak=plain(leak)) + LET * dealing.allow_leak
    columns = " and ".join(KINDS) if dealing.group_by == ALL else plain(dealing.group_by)
    groups = Path(dealing.groups).name
    return NO_COPIES + NO_GROUPS.format(table=code(groups), columns=columns) * bool(groups)


def found_faults(facts: RunFacts) -> list[str]:
    """How many faults of each kind the scan has found."""
    names = {**FAULTS, **{name: plain(name.replace("_", " ")) for name in facts.faults}} | FAULTS
    rows = [
        (words, f"{len(facts.faults[name]):,}")
        for name, words in names.items()
        if facts.faults.get(name)
    ]
    if not rows:
        return ["", "The scan has found no fault in it."]
    return ["", "What the scan has found:", "", *table(("fault", "number"), rows)]


def whose(facts: ModelFacts) -> list[str]:
    """Whose the data is, and what is known of a published corpus."""
    return ["", licence(facts), *([GTZAN] if looks_like_gtzan(facts.manifest) else [])]


def licence(facts: ModelFacts) -> str:
    """Under which licence the data is, as far as that is known."""
    stated = facts.options.corpus.data_licence
    if stated:
        return STATED.format(licence=plain(stated))
    return OURS if facts.options.corpus.data == DEMO else NOT_STATED


def looks_like_gtzan(manifest: pd.DataFrame) -> bool:
    """Whether tracks and genres are called as in that collection, all ten of them."""
    names = manifest["track_id"].map(recording_of)
    return {*manifest["genre"]} == GTZAN_GENRES and bool(names.str.fullmatch(GTZAN_TRACK).all())
