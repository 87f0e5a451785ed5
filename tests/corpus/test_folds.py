"""Folds: no group on two sides, every genre in each, and nothing left to chance but the seed."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genre_mlflow.corpus.folds import assert_partition, folds
from genre_mlflow.corpus.manifest import COLUMNS
from genre_mlflow.corpus.settings import SplitSettings
from genre_mlflow.corpus.splits import split
from genre_mlflow.errors import DataError


def table(groups: dict[str, list[int]], split: str = "") -> pd.DataFrame:
    """A manifest of genres and the sizes of their groups."""
    rows = [
        (f"{genre}/{group:02d}.{n}", "", genre, f"{genre}{group}", f"{genre}{group}.{n}", split, "")
        for genre, sizes in groups.items()
        for group, size in enumerate(sizes)
        for n in range(size)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def answers(found: list[pd.DataFrame]) -> list[dict[str, str]]:
    return [dict(zip(fold["track_id"], fold["split"], strict=True)) for fold in found]


manifests = st.dictionaries(
    st.sampled_from("abc"), st.lists(st.integers(1, 6), min_size=5, max_size=20),
    min_size=2, max_size=3,
).map(table)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(
    manifest=manifests, n_folds=st.integers(2, 5), seed=st.integers(0, 99), with_test=st.booleans()
)
def test_no_group_is_on_two_sides_and_every_track_is_validated_once(
    manifest, n_folds, seed, with_test
):
    found = folds(manifest, n_folds, seed, with_test=with_test)
    assert len(found) == n_folds
    for fold in found:
        assert (fold.groupby("group")["split"].nunique() == 1).all()
        assert (fold.groupby("genre")["split"].nunique() == 2).all()
        assert set(fold["split"]) == {"train", "val"}
        pd.testing.assert_frame_equal(fold.drop(columns="split"), manifest.drop(columns="split"))
    validated = pd.concat([fold[fold["split"] == "val"] for fold in found])
    assert sorted(validated["track_id"]) == sorted(manifest["track_id"])


@pytest.mark.parametrize("n_folds", [2, 3, 5])
def test_single_tracks_are_dealt_evenly(n_folds):
    for fold in folds(table({"a": [1] * 31, "b": [1] * 13}), n_folds):
        n_val = fold[fold["split"] == "val"]["genre"].value_counts()
        assert abs(n_val["a"] - 31 / n_folds) <= 1
        assert abs(n_val["b"] - 13 / n_folds) <= 1


def test_small_groups_make_up_for_large_ones():
    for fold in folds(table({"a": [10, 10, *[1] * 20], "b": [8, 4, 4, *[2] * 12]}), 2):
        assert fold["split"].value_counts().to_dict() == {"train": 40, "val": 40}


@settings(max_examples=20, deadline=None)
@given(manifest=manifests, data=st.data())
def test_the_deal_depends_on_the_seed_and_not_on_the_order_of_the_rows(manifest, data):
    order = data.draw(st.permutations(range(len(manifest))))
    assert answers(folds(manifest, 3, 7)) == answers(folds(manifest.iloc[order], 3, 7))


def test_another_seed_deals_other_folds():
    manifest = table({"a": [1] * 20, "b": [1] * 20})
    assert len({str(answers(folds(manifest, 4, seed))) for seed in range(5)}) == 5


def test_the_test_set_is_in_no_fold_and_what_was_train_or_val_does_not_count():
    kept = table({"a": [2] * 6, "b": [2] * 6})
    both = pd.concat([kept.assign(split=["train", "val"] * 12),
                      table({"c": [3] * 4}, split="test")])  # fmt: skip
    assert answers(folds(both, 3)) == answers(folds(kept, 3))


def test_with_the_test_set_every_track_is_dealt_whatever_its_split():
    manifest = table({"a": [2] * 6, "b": [2] * 6})
    dealt = manifest.assign(split=["train", "val", "test"] * 8)
    assert answers(folds(dealt, 3, with_test=True)) == answers(folds(manifest, 3))


def parted(manifest: pd.DataFrame, val: set[int]) -> pd.DataFrame:
    """The rows of these groups, by number, as `val`."""
    in_val = manifest["group"].str[1:].astype(int).isin(val)
    return manifest.assign(split=in_val.map({True: "val", False: "train"}))


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        ([{0}, {1}], "a track that is not validated once"),
        ([{0, 1}, {1, 2}], "a track that is not validated once"),
    ],
)
def test_folds_that_would_say_too_much_fail(sides, message):
    manifest = table({"a": [2] * 3, "b": [2] * 3})
    with pytest.raises(AssertionError, match=message):
        assert_partition(manifest, [parted(manifest, val) for val in sides])


def test_a_group_on_two_sides_of_a_fold_fails():
    manifest = table({"a": [2] * 3, "b": [2] * 3})
    apart = manifest.assign(split=["val", "train"] * 6)
    with pytest.raises(AssertionError, match="a group on two sides"):
        assert_partition(manifest, [apart])


@pytest.mark.parametrize("n_folds", [0, 1])
def test_fewer_than_two_folds_are_refused(n_folds):
    with pytest.raises(DataError, match=f"n_folds is {n_folds}; allowed are 2 or more"):
        folds(table({"a": [1] * 5, "b": [1] * 5}), n_folds)


def test_as_many_groups_as_folds_are_enough_and_fewer_are_refused():
    manifest = table({"a": [9, 9, 9], "b": [1] * 5, "c": [7, 1]})
    with pytest.raises(
        DataError, match=r"^3 folds need as many groups of each genre, but there is 'c' with 2$"
    ):
        folds(manifest, 3)
    assert len(folds(manifest, 2)) == 2


def test_a_genre_that_lies_in_large_groups_of_others_may_miss_in_a_fold():
    common = table({genre: [30, 15, 15] for genre in "abd"})
    mixed = common.assign(group=common["group"].str[1])  # 0 is as large as 1 and 2 together
    manifest = pd.concat([mixed, table({"c": [1, 1]}).assign(group=["1", "2"])])
    message = r"^fold \d of 2 has no 'c' in (train|val): its groups are too few or too large$"
    with pytest.raises(DataError, match=message):
        folds(manifest, 2)


# Real images


@pytest.mark.parametrize(("n_folds", "least", "most"), [(2, 0.47, 0.53), (5, 0.18, 0.22)])
def test_artists_of_the_real_images_are_dealt_as_evenly_as_they_allow(
    real_data: Path, real_manifest: pd.DataFrame, n_folds: int, least: float, most: float
):
    dealing = SplitSettings(
        split_dir=str(real_data / "splits" / "gtzan-filtered"), on_missing="skip",
        groups=str(real_data / "groups" / "gtzan-groups.csv"),
    )  # fmt: skip
    grouped = split(real_manifest, dealing).grouped
    for seed in range(3):
        found = folds(grouped, n_folds, seed)
        for fold in found:
            assert len(fold) == 639
            assert (fold.groupby("group")["split"].nunique() == 1).all()
            assert least < (fold["split"] == "val").mean() < most
            assert (fold[fold["split"] == "val"]["genre"].value_counts() >= 7).all()
