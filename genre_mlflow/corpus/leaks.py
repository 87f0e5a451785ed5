"""Which tracks of one manifest another one holds too: by what is in the files, not by names."""

from collections.abc import Mapping

import pandas as pd

from genre_mlflow.corpus.manifest import components
from genre_mlflow.corpus.settings import SPLITS


def splits_in(
    known: pd.DataFrame, manifest: pd.DataFrame, contents: Mapping[str, str]
) -> "pd.Series[str]":
    """The split of `known` that holds each track of `manifest`, empty where none does.

    A track is held where its file is, or one that shows or sounds the same, or one of a group that
    such a file belongs to in either manifest: a copy, another segment of the recording. Of several
    splits the first of train, val and test counts. `contents`: SHA-256 of contents by that of
    files; where a file is not among them, only its bytes can be compared.
    """
    both = pd.concat([manifest, known])
    groups = ["here " + manifest["group"], "there " + known["group"]]  # by names that may be equal
    content = both["sha256"].map(lambda sha256: contents.get(sha256, sha256))
    component = components(pd.concat(groups), content)
    here, there = component[: len(manifest)], component[len(manifest) :]
    rank = known["split"].map({name: place for place, name in enumerate(SPLITS)})
    first = rank.groupby(there).min().map(dict(enumerate(SPLITS)))
    return pd.Series(here, index=manifest.index).map(first).fillna("")
