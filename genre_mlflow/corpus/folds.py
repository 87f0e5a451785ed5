"""Folds of a manifest for cross-validation: whole groups, and every genre in each."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from genre_mlflow.errors import DataError
from genre_mlflow.files.words import counted, few


def folds(
    manifest: pd.DataFrame, n_folds: int, seed: int = 0, *, with_test: bool = False
) -> list[pd.DataFrame]:
    """Manifests of the same rows, each with another fold's as `val` and all others as `train`.

    Tracks of the split `test` are in none, unless `with_test` takes every track. No group is on two
    sides of a fold, every track taken is in `val` once, and each genre is dealt as evenly as whole
    groups allow: the largest come first, the seed decides between equal ones
    (`StratifiedGroupKFold` of scikit-learn). The order of the rows does not matter.
    For artists as groups take `SplitResult.grouped`, or `join_groups`.

    Raises `DataError` for fewer than two folds, and for a genre with fewer groups than folds.
    """
    if n_folds < 2:
        raise DataError(f"n_folds is {n_folds}; allowed are 2 or more")
    rows = manifest if with_test else manifest[manifest["split"] != "test"]
    check_groups(rows, n_folds)
    found = [
        rows.assign(split=np.where(in_val, "val", "train"))
        for in_val in deal_folds(rows, n_folds, seed)
    ]
    check_genres(found)
    assert_partition(rows, found)
    return found


def deal_folds(rows: pd.DataFrame, n_folds: int, seed: int) -> Iterator[np.ndarray]:
    """Which rows each fold validates on, bool `[row]`."""
    dealer = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    for _, places in dealer.split(rows, rows["genre"], rows["group"]):
        in_val = np.zeros(len(rows), bool)
        in_val[places] = True
        yield in_val


def check_groups(rows: pd.DataFrame, n_folds: int) -> None:
    """Refuse a genre that cannot be in every fold. Raises `DataError`."""
    n_groups = rows.groupby("genre")["group"].nunique()
    short = n_groups[n_groups < n_folds]
    if len(short):
        raise DataError(
            f"{counted(n_folds, 'fold')} need as many groups of each genre, but there is "
            f"{few([f'{genre!r} with {n}' for genre, n in short.items()])}"
        )


def check_genres(found: list[pd.DataFrame]) -> None:
    """Refuse folds that lack a genre on a side, as groups of two genres can. Raises `DataError`."""
    genres = set(found[0]["genre"])
    for number, fold in enumerate(found, start=1):
        for side in ("train", "val"):
            lacking = sorted(genres - set(fold["genre"][fold["split"] == side]))
            if lacking:
                raise DataError(
                    f"fold {number} of {len(found)} has no {few([repr(g) for g in lacking])} in "
                    f"{side}: its groups are too few or too large"
                )


def assert_partition(rows: pd.DataFrame, found: list[pd.DataFrame]) -> None:
    """Fail where a group is on two sides of a fold, or a track is not in `val` just once.

    A figure that rests on such folds would say too much, whatever library has dealt them.
    """
    times = np.zeros(len(rows), int)
    for fold in found:
        in_val = (fold["split"] == "val").to_numpy()
        assert not {*fold["group"][in_val]} & {*fold["group"][~in_val]}, "a group on two sides"
        times += in_val
    assert (times == 1).all(), "a track that is not validated once"
