"""No copy of a track is ever on two sides, however the tracks are dealt."""

import shutil
import unicodedata

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genre_mlflow.corpus.manifest import COLUMNS
from genre_mlflow.corpus.scan import scan
from genre_mlflow.corpus.settings import SPLITS, SplitSettings
from genre_mlflow.corpus.splits import split, split_by_lists
from genre_mlflow.errors import DataError, SettingsError


def table(rows: list[tuple[str, str, str]]) -> pd.DataFrame:
    """A manifest of (track, genre, group)."""
    return pd.DataFrame(
        [(f"{genre}/{track}", "", genre, group, group, "", "PNG") for track, genre, group in rows],
        columns=COLUMNS,
    )


def plain(genres: int = 2, tracks: int = 10) -> pd.DataFrame:
    names = [(f"g{g}.{t:05d}", f"g{g}") for g in range(genres) for t in range(tracks)]
    return table([(track, genre, track) for track, genre in names])


@st.composite
def manifests(draw) -> pd.DataFrame:
    """Two to four genres with groups of one to four copies, and now and then a false label."""
    rows = []
    for genre in range(draw(st.integers(2, 4))):
        for group in range(draw(st.integers(4, 30))):
            copies = draw(st.integers(1, 4)) if draw(st.integers(0, 9)) == 0 else 1
            rows += [(f"{group:03d}.{c}", f"g{genre}", f"{genre}.{group}") for c in range(copies)]
    for i in range(draw(st.integers(0, 2))):
        rows.append((f"false.{i}", "g1", f"0.{draw(st.integers(0, 3))}"))
    return table(draw(st.permutations(rows)))


def sizes(manifest: pd.DataFrame) -> dict[str, int]:
    return manifest["split"].value_counts().to_dict()


@given(manifest=manifests(), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_a_group_is_never_on_two_sides(manifest, seed):
    dealt = split(manifest, SplitSettings(split_seed=seed)).manifest
    assert (dealt.groupby("group")["split"].nunique() == 1).all()


@given(manifest=manifests(), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_every_genre_is_in_every_split_and_no_track_is_lost(manifest, seed):
    result = split(manifest, SplitSettings(split_seed=seed))
    dealt = result.manifest
    assert (dealt.groupby("genre")["split"].nunique() == 3).all()
    pd.testing.assert_frame_equal(dealt.drop(columns="split"), manifest.drop(columns="split"))
    assert (result.missing, result.excluded, result.leaks) == ([], [], [])


@given(manifest=manifests(), seed=st.integers(0, 99), data=st.data())
@settings(max_examples=20, deadline=None)
def test_the_deal_depends_on_the_seed_and_not_on_the_order_of_the_rows(manifest, seed, data):
    order = data.draw(st.permutations(range(len(manifest))))
    one = split(manifest, SplitSettings(split_seed=seed)).manifest
    other = split(
        manifest.iloc[order].reset_index(drop=True), SplitSettings(split_seed=seed)
    ).manifest
    assert dict(zip(one["track_id"], one["split"], strict=True)) == dict(
        zip(other["track_id"], other["split"], strict=True)
    )


@given(
    tracks=st.integers(3, 120),
    val=st.floats(0.05, 0.4),
    test=st.floats(0.05, 0.4),
    seed=st.integers(0, 99),
)
@settings(max_examples=30, deadline=None)
def test_each_genre_is_dealt_in_the_shares_asked_for(tracks, val, test, seed):
    wanted = SplitSettings(val_fraction=val, test_fraction=test, split_seed=seed)
    dealt = split(plain(tracks=tracks), wanted).manifest
    for _, rows in dealt.groupby("genre"):
        shares = rows["split"].value_counts()
        for name, share in (("val", val), ("test", test)):
            assert abs(shares[name] - share * tracks) < 1


def test_default_is_80_10_10():
    assert sizes(split(plain(tracks=100), SplitSettings()).manifest) == {
        "train": 160,
        "val": 20,
        "test": 20,
    }


def test_another_seed_deals_other_tracks():
    deals = {
        tuple(split(plain(), SplitSettings(split_seed=seed)).manifest["split"]) for seed in range(5)
    }
    assert len(deals) == 5


def test_given_manifest_is_left_as_it_is():
    manifest = plain()
    split(manifest, SplitSettings())
    assert (manifest["split"] == "").all()


def test_three_tracks_of_a_genre_are_enough_and_two_are_not():
    assert sizes(split(plain(tracks=3), SplitSettings()).manifest) == dict.fromkeys(SPLITS, 2)
    with pytest.raises(DataError, match="genre 'g0' has 2 distinct tracks; at least 3 are needed"):
        split(plain(tracks=2), SplitSettings())


@pytest.mark.parametrize("tracks", [3, 4, 5])
def test_large_shares_leave_a_track_of_each_genre_to_every_split(tracks):
    greedy = SplitSettings(val_fraction=0.49, test_fraction=0.49)
    dealt = split(plain(tracks=tracks), greedy).manifest
    assert (dealt.groupby("genre")["split"].nunique() == 3).all()


def test_a_group_of_many_copies_leaves_a_group_to_every_split():
    rows = [(f"{g}{i}", g, f"{g}{max(i, 7)}") for g in "ab" for i in range(10)]  # 8, 1 and 1
    for seed in range(6):
        dealt = split(table(rows), SplitSettings(split_seed=seed)).manifest
        assert (dealt.groupby("genre")["split"].nunique() == 3).all()


def test_copies_do_not_count_as_tracks():
    rows = [(f"a{i}", "a", f"a{min(i, 1)}") for i in range(6)]
    rows += [(f"b{i}", "b", f"b{i}") for i in range(6)]
    with pytest.raises(DataError, match="genre 'a' has 2 distinct tracks"):
        split(table(rows), SplitSettings())


def test_a_genre_whose_tracks_are_all_copies_of_others_is_refused():
    rows = [(f"a{i}", "a", f"a{i}") for i in range(6)] + [("b0", "b", "a0"), ("b1", "b", "a1")]
    with pytest.raises(DataError, match="too few tracks: there is no 'b' in"):
        split(table(rows), SplitSettings())


# Split lists


@pytest.fixture
def lists(tmp_path):
    def write(train: str, val: str = "g0.00007\ng1.00007", test: str = "g0.00008\ng1.00008") -> str:
        folder = tmp_path / "lists"
        folder.mkdir(exist_ok=True)
        for name, text in zip(SPLITS, (train, val, test), strict=True):
            (folder / f"{name}.txt").write_text(text, encoding="utf-8")
        return str(folder)

    return write


def by_lists(folder: str, manifest: pd.DataFrame | None = None, **options):
    chosen = SplitSettings(split_dir=folder, **options)
    return split(plain() if manifest is None else manifest, chosen)


def test_lists_take_full_ids_and_bare_names_and_comments(lists):
    result = by_lists(lists("# a comment\ng0/g0.00000\n\n  g1.00000  \n  # another\n"))
    assert dict(result.manifest[["track_id", "split"]].values.tolist()) == {
        "g0/g0.00000": "train",
        "g1/g1.00000": "train",
        "g0/g0.00007": "val",
        "g1/g1.00007": "val",
        "g0/g0.00008": "test",
        "g1/g1.00008": "test",
    }


def test_tracks_that_no_list_names_are_excluded_and_told(lists):
    result = by_lists(lists("g0.00000\ng1.00000"))
    assert len(result.excluded) == 20 - 6
    assert "g0/g0.00001" in result.excluded
    assert not set(result.excluded) & set(result.manifest["track_id"])


@pytest.mark.parametrize("start", ["\ufeff", "\ufeff# comment\r\n"])
def test_lists_written_on_windows_are_read(lists, start):
    assert len(by_lists(lists(f"{start}g0.00000\r\ng1.00000\r\n")).manifest) == 6


def test_ids_that_are_not_there_are_an_error(lists):
    folder = lists("g0.00000\ng1.00000\n" + "\n".join(f"lost.{i}" for i in range(7)))
    message = (
        r"^7 ids in .* without a track in the folder: 'lost.0' \(train.txt, line 3\), .* and 2 more"
        "; go on without them with --on-missing skip"
    )
    with pytest.raises(DataError, match=message):
        by_lists(folder)


def test_ids_that_are_not_there_are_skipped_if_asked(lists):
    result = by_lists(lists("g0.00000\nlost.1\ng1.00000"), on_missing="skip")
    assert result.missing == ["lost.1"]
    assert len(result.manifest) == 6


@pytest.mark.parametrize("again", ["g0.00007", "g0/g0.00007"])
def test_an_id_in_two_lists_is_an_error_under_either_name(lists, again):
    with pytest.raises(DataError, match=f"track '{again}' is listed twice, in val and in test"):
        by_lists(lists("g0.00000\ng1.00000", test=f"g0.00008\ng1.00008\n{again}"))


def test_an_id_twice_in_one_list_is_an_error(lists):
    with pytest.raises(DataError, match="is listed twice, in train and in train"):
        by_lists(lists("g0.00000\ng1.00000\ng0.00000"))


def test_a_bare_name_that_could_be_two_tracks_is_an_error(lists):
    rows = [(f"g{i % 2}.{i // 2:05d}", f"g{i % 2}", str(i)) for i in range(20)]
    manifest = table([*rows, ("same", "g0", "x"), ("same", "g1", "y")])
    message = "'same' could be any of g0/same, g1/same; write the id with its folder"
    with pytest.raises(DataError, match=message):
        by_lists(lists("g0.00000\ng1.00000\nsame"), manifest)
    result = by_lists(lists("g0.00000\ng1.00000\ng1/same"), manifest)
    assert "g1/same" in set(result.manifest["track_id"])
    assert "g0/same" in result.excluded


def test_lists_without_a_genre_in_a_split_are_an_error(lists):
    with pytest.raises(DataError, match="too few tracks: there is no 'g1' in test"):
        by_lists(lists("g0.00000\ng1.00000", test="g0.00008"))


def test_lists_with_one_genre_are_an_error(lists):
    with pytest.raises(DataError, match="the split has one genre, g0; two are needed"):
        by_lists(lists("g0.00000", val="g0.00001", test="g0.00002"))


def test_an_empty_list_is_an_error(lists):
    with pytest.raises(DataError, match="there is no 'g0' in train, 'g1' in train"):
        by_lists(lists("# nothing"))


def test_a_list_that_is_not_there_or_no_text_is_an_error(lists, tmp_path):
    folder = lists("g0.00000\ng1.00000")
    (tmp_path / "lists" / "test.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"test\.txt cannot be read"):
        by_lists(folder)
    (tmp_path / "lists" / "val.txt").unlink()
    with pytest.raises(DataError, match=r"val\.txt cannot be read .* a split folder holds train"):
        by_lists(folder)


def test_lists_go_before_folders(lists):
    manifest = plain().assign(split="train")
    assert sizes(by_lists(lists("g0.00000\ng1.00000"), manifest).manifest) == dict.fromkeys(
        SPLITS, 2
    )


@pytest.mark.parametrize("name", ["g0/a", "a"])
def test_the_name_of_a_recording_in_a_list_means_all_its_segments(lists, name):
    manifest = plain()
    manifest.loc[:2, "track_id"] = [f"g0/a.seg{n:03d}" for n in range(3)]
    dealt = by_lists(lists(f"{name}\ng1.00000"), manifest).manifest
    assert list(dealt["split"][dealt["track_id"].str.startswith("g0/a.")]) == ["train"] * 3


def test_a_recording_and_its_segment_in_two_lists_are_an_error(lists):
    manifest = plain()
    manifest.loc[:1, "track_id"] = ["g0/a.seg000", "g0/a.seg001"]
    with pytest.raises(
        DataError, match=r"^track 'a\.seg001' is listed twice, in train and in train"
    ):
        by_lists(lists("a\na.seg001\ng1.00000"), manifest)


def test_a_bare_name_of_two_recordings_is_an_error(lists):
    manifest = plain()
    manifest.loc[[0, 10], "track_id"] = ["g0/a.seg000", "g1/a.seg000"]
    with pytest.raises(DataError, match=r"^'a' could be any of g0/a\.seg000, g1/a\.seg000; write"):
        by_lists(lists("a"), manifest)


# Folders, and leaks


def test_folders_train_val_test_are_taken_as_they_are(tmp_path, make_corpus):
    for part, n in (("train", 4), ("val", 2), ("test", 1)):
        make_corpus(tmp_path / "music" / part, tracks=n, size=32 + n)  # so that none are copies
    dealt = split(scan(tmp_path / "music").manifest, SplitSettings()).manifest
    assert sizes(dealt) == {"train": 12, "val": 6, "test": 3}


def test_a_folder_split_that_lacks_a_genre_is_an_error(tmp_path, make_corpus):
    for part in SPLITS:
        make_corpus(tmp_path / "music" / part, tracks=1, size=32 + len(part))
    shutil.rmtree(tmp_path / "music" / "val" / "jazz")
    with pytest.raises(DataError, match="there is no 'jazz' in val"):
        split(scan(tmp_path / "music").manifest, SplitSettings())


@pytest.mark.parametrize("by", ["lists", "folders"])
def test_copies_on_two_sides_are_an_error_unless_allowed(lists, by):
    manifest = plain()
    manifest.loc[manifest["track_id"] == "g0/g0.00008", "group"] = "g0.00000"
    folder = lists("g0.00000\ng1.00000")
    if by == "folders":
        manifest = by_lists(folder, manifest, allow_leak=True).manifest
        folder = ""
    message = (
        r"^1 track with copies, or other segments, in another split, for example "
        r"g0/g0.00000 \(train\) = g0/g0.00008 \(test\).* --allow-leak$"
    )
    with pytest.raises(DataError, match=message):
        by_lists(folder, manifest)
    result = by_lists(folder, manifest, allow_leak=True)
    assert result.leaks == [["g0/g0.00000 (train)", "g0/g0.00008 (test)"]]


def test_copies_on_one_side_or_outside_the_lists_are_no_leak(lists):
    manifest = plain()
    manifest.loc[manifest["track_id"].isin(["g0/g0.00000", "g0/g0.00001"]), "group"] = "one"
    manifest.loc[manifest["track_id"].isin(["g1/g1.00008", "g1/g1.00009"]), "group"] = "two"
    assert by_lists(lists("g0.00000\ng0.00001\ng1.00000"), manifest).leaks == []


# Settings


@pytest.mark.parametrize("name", ["val_fraction", "test_fraction"])
@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 2.0, float("nan")])
def test_fraction_out_of_range_is_refused(name, value):
    with pytest.raises(SettingsError, match=f"{name} is {value}; allowed are values above 0"):
        SplitSettings(**{name: value})


def test_fractions_that_leave_nothing_to_train_on_are_refused():
    with pytest.raises(SettingsError, match="leave nothing to train on"):
        SplitSettings(val_fraction=0.5, test_fraction=0.5)
    SplitSettings(val_fraction=0.5, test_fraction=0.49)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seed_out_of_range_is_refused(seed):
    with pytest.raises(SettingsError, match=f"split_seed is {seed}; allowed are 0 to"):
        SplitSettings(split_seed=seed)


def test_unknown_way_with_missing_ids_is_refused():
    with pytest.raises(SettingsError, match="on_missing is 'ignore'; allowed are error, skip"):
        SplitSettings(on_missing="ignore")


# Real images


def test_filtered_split_of_the_real_images(real_data, real_manifest):
    folder = str(real_data / "splits" / "gtzan-filtered")
    with pytest.raises(
        DataError, match=r"^1 id in .*: 'jazz.00054' \(train.txt, line 253\); .*--on-missing skip"
    ):
        by_lists(folder, real_manifest)
    result = by_lists(folder, real_manifest, on_missing="skip")
    assert sizes(result.manifest) == {"train": 442, "val": 197, "test": 290}
    assert result.missing == ["jazz.00054"]
    assert len(result.excluded) == 70
    assert result.leaks == []


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_random_split_of_the_real_images_keeps_copies_together(real_manifest, seed):
    dealt = split(real_manifest, SplitSettings(split_seed=seed)).manifest
    assert (dealt.groupby("group")["split"].nunique() == 1).all()
    assert len(dealt) == 999
    counts = sizes(dealt)
    assert abs(counts["val"] - 100) <= 5
    assert abs(counts["test"] - 100) <= 5


def test_names_in_lists_are_those_of_the_tracks_however_they_are_written(tmp_path, make_corpus):
    folder = make_corpus(tmp_path / "music", ("blues", "jazz"), tracks=6)
    odd = ["#1 Crush", "Jose\u0301", "two\u2028lines", "Mr. X", "dot.wav", "blues.00000.png"]
    for number, name in enumerate(odd[:5]):
        (folder / "blues" / f"blues.{number:05d}.png").rename(folder / "blues" / f"{name}.png")
    (folder / "blues" / "Mr. X.png").rename(folder / "blues" / "Mr. X")
    manifest = scan(folder).manifest
    lines = ["# a comment", "#1 Crush", "Jos\u00e9", "two\u2028lines", "Mr. X", "blues/dot.wav"]
    sides = {
        "train": [*lines, "jazz.00000.png", "jazz/jazz.00001.png", "", "jazz.00002"],
        "val": ["blues.00005", "jazz.00003"], "test": ["jazz.00004"],
    }  # fmt: skip
    lists = tmp_path / "lists"
    lists.mkdir()
    for side, names in sides.items():
        (lists / f"{side}.txt").write_text("\n".join(names), encoding="utf-8")
    dealt, missing, excluded = split_by_lists(manifest, SplitSettings(split_dir=str(lists)))
    assert missing == []
    assert list(excluded) == ["jazz/jazz.00005"]
    trained = set(dealt["track_id"][dealt["split"] == "train"])
    expected = {f"blues/{name}" for name in [*odd[:4], "dot.wav"]} | {
        f"jazz/jazz.0000{n}" for n in range(3)
    }
    assert {unicodedata.normalize("NFC", track) for track in trained} == {
        unicodedata.normalize("NFC", track) for track in expected
    }
