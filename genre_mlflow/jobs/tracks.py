"""The tracks of a job as tensors, and what is checked of their files before."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

import pandas as pd

from genre_mlflow import signals
from genre_mlflow.corpus.corpus import Corpus
from genre_mlflow.corpus.groups import rows_by_track
from genre_mlflow.data.cache import PixelCache, open_cache
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.data.table import FeatureRows
from genre_mlflow.errors import DataError
from genre_mlflow.features.settings import MUSICNN, UNDONE
from genre_mlflow.features.table import FeatureTable, read_features
from genre_mlflow.files.home import home
from genre_mlflow.files.names import printable
from genre_mlflow.files.words import counted, few
from genre_mlflow.jobs.fitting import BOTH
from genre_mlflow.model.networks.baselines import TableBaseline
from genre_mlflow.options import TrainOptions

DECODED_PER_LINE = 6400  # half a minute on two cores

logger = logging.getLogger(__name__)


def suited(corpus: Corpus, options: TrainOptions) -> Corpus:
    """The corpus as these options can train on it. Raises `DataError` where they cannot."""
    if isinstance(options.family, TableBaseline):
        return with_rows(corpus, options.family.table)
    check_pictures(corpus, options)
    return corpus


def with_rows(corpus: Corpus, table: str) -> Corpus:
    """The corpus without the tracks that a table of features has no row of; it says how many.

    Raises `DataError` where a genre has none left in a split.
    """
    features = read_features(table)
    rows = rows_of(corpus, features)
    manifest = corpus.manifest
    known = manifest["track_id"].isin(rows)
    kept, missing = manifest[known], list(manifest["track_id"][~known])
    for split, genre in product(manifest["split"].unique(), corpus.genres):
        if not ((kept["genre"] == genre) & (kept["split"] == split)).any():
            where = split and f" in {split}"
            raise DataError(
                f"{table} has no row of genre {genre!r}{where}; it has {len(kept)} of "
                f"{len(manifest)} tracks, and names them such as {features.tracks[0]!r}"
            )
    if missing:
        logger.info(
            "%s has no row of %s of %s, which are left out: %s",
            table, counted(len(missing), "track"), f"{len(manifest):,}", few(missing),
        )  # fmt: skip
    return replace(corpus, split=replace(corpus.split, manifest=kept.reset_index(drop=True)))


def rows_of(corpus: Corpus, table: FeatureTable) -> dict[str, str]:
    """The name of a track in a table of features, by its id."""
    names = pd.DataFrame({"track_id": table.tracks})
    return rows_by_track(corpus.manifest["track_id"], names, on_missing="skip")


def check_pictures(corpus: Corpus, options: TrainOptions) -> None:
    """Say which colour maps will be undone.

    Raises `DataError` for one that is not known, and for an image where sound alone is heard.
    """
    if options.preprocessing.features == MUSICNN:
        if len(corpus.images):
            first = corpus.images["path"].iloc[0]
            raise DataError(
                f"features {MUSICNN} are of recordings alone, but {printable(first)} is an image"
                f" ({len(corpus.images)} of {counted(len(corpus.manifest), 'file')} are)"
            )
        return
    if options.preprocessing.colours == UNDONE and corpus.colour_maps:
        logger.info("Colours of the images undone: %s", ", ".join(corpus.colour_maps))


def open_tracks(
    corpus: Corpus, options: TrainOptions, splits: Sequence[str]
) -> dict[str, TrackDataset]:
    """The tensors of these splits; all files are decoded now if they are not in the cache.

    With `refit`, those of train and validation together too.
    """
    rows = {name: corpus.rows(name) for name in splits}
    if options.training.refit:
        rows[BOTH] = pd.concat([rows["train"], rows["val"]], ignore_index=True)
    return tensors(corpus, options, rows)


def tensors(
    corpus: Corpus, options: TrainOptions, rows: Mapping[str, pd.DataFrame]
) -> dict[str, TrackDataset]:
    """Tensors of some rows of the manifest, by name."""
    source = open_source(corpus, options)
    return {name: TrackDataset(part, corpus.genres, source) for name, part in rows.items()}


def open_source(corpus: Corpus, options: TrainOptions) -> PixelCache | FeatureRows:
    """What the tensors of all tracks are read from; all files are decoded now if need be."""
    if isinstance(options.family, TableBaseline):
        table = read_features(options.family.table)
        return FeatureRows(corpus.manifest, table, rows_of(corpus, table))

    def announce(done: int, total: int) -> None:
        signals.check()
        if done == total or done % DECODED_PER_LINE == 0:
            logger.info("Decoded %d of %d files, kept for later runs with this input", done, total)

    return open_cache(corpus.manifest, options.preprocessing, home() / "cache", announce)
