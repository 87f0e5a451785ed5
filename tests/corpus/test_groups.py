"""Tracks of one artist or recording are one group, and a table that is wrong is told."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import copy2

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genre_mlflow.corpus.corpus import faults, open_corpus, overview
from genre_mlflow.corpus.groups import groups_from, join_groups, known_groups
from genre_mlflow.corpus.settings import KINDS, CorpusSettings, SplitSettings
from genre_mlflow.corpus.shared_groups import SharedGroup, in_words, shared_groups
from genre_mlflow.corpus.splits import split
from genre_mlflow.errors import DataError, SettingsError

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(text: str) -> Path:
        path = tmp_path / "groups.csv"
        path.write_bytes(text.encode())
        return path

    return to_file


def rows(tracks: dict[str, str]) -> pd.DataFrame:
    """A manifest of tracks and their groups."""
    return pd.DataFrame({"track_id": list(tracks), "group": list(tracks.values())})


def table(*lines: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(list(lines), columns=["track_id", "artist", "recording"])


def joined(tracks: dict[str, str], *lines: tuple[str, str, str], **more: str) -> dict[str, str]:
    found = join_groups(rows(tracks), table(*lines), **more)
    return dict(zip(found["track_id"], found["group"], strict=True))


ALONE = {f"rock/{name}": f"rock/{name}" for name in "abcdef"}


def test_an_artist_a_recording_or_a_copy_in_common_joins_and_so_does_a_chain():
    tracks = {**ALONE, "rock/d": "rock/c"}  # c and d are copies
    lines = ("a", "Ann", "One"), ("b", "Ann", "Two"), ("c", "Cy", "Two"), ("e", "Eve", "One more")
    assert joined(tracks, *lines) == {
        **dict.fromkeys(["rock/a", "rock/b", "rock/c", "rock/d"], "rock/a"),
        "rock/e": "rock/e", "rock/f": "rock/f",
    }  # fmt: skip


def test_an_artist_and_a_recording_of_one_name_have_nothing_in_common():
    assert joined(ALONE, ("a", "Same", ""), ("b", "", "Same")) == ALONE


def test_what_is_not_known_joins_nothing():
    assert joined(ALONE, ("a", "", ""), ("b", "", ""), ("c", "Cy", "")) == ALONE


def test_a_track_without_a_row_keeps_its_group():
    tracks = {**ALONE, "rock/f": "rock/e"}
    assert joined(tracks, ("a", "Ann", ""), ("b", "Ann", "")) == {**tracks, "rock/b": "rock/a"}


def test_a_row_of_a_recording_means_all_its_segments_whatever_their_group():
    tracks = {"rock/a.seg000": "1", "rock/a.seg001": "2", "rock/b": "3"}
    assert set(joined(tracks, ("a", "Ann", ""), ("rock/b.flac", "Ann", "")).values()) == {
        "rock/a.seg000"
    }


@settings(max_examples=50, deadline=None)
@given(
    keys=st.lists(
        st.tuples(st.sampled_from(["", *"pqr"]), st.sampled_from(["", *"xyz"])),
        min_size=1, max_size=12,
    ),
    data=st.data(),
)  # fmt: skip
def test_groups_are_the_smallest_that_hold_all_in_common_in_any_order(keys, data):
    names = [f"g/{i:02d}" for i in range(len(keys))]
    lines = [(n, *pair) for n, pair in zip(names, keys, strict=True)]
    found = joined({n: n for n in names}, *lines)
    expected = {n: {n} for n in names}
    for one, *pair in lines:  # the plain way: sets that are merged one pair after the other
        for other, *others in lines:
            if any(a and a == b for a, b in zip(pair, others, strict=True)):
                both = expected[one] | expected[other]
                expected.update(dict.fromkeys(both, both))
    assert found == {n: min(expected[n]) for n in names}
    order = data.draw(st.permutations(names))
    assert joined({n: n for n in order}, *data.draw(st.permutations(lines))) == found


def test_ids_without_a_track_are_counted_and_named_or_passed_over():
    lines = [("a", "Ann", ""), *((f"lost.{i}", "Ann", "") for i in range(6))]
    message = (
        "^the table of groups names 6 tracks that the folder has not: 'lost.0', .* and 1 more; "
        "go on without them with --on-missing skip$"
    )
    with pytest.raises(DataError, match=message):
        joined(ALONE, *lines)
    assert joined(ALONE, *lines, on_missing="skip") == ALONE


def test_two_rows_of_one_track_are_refused_also_under_two_names():
    with pytest.raises(DataError, match=r"two rows of 'rock/a': 'a' and 'rock/a\.png'$"):
        joined(ALONE, ("a", "Ann", ""), ("rock/a.png", "Ann", ""))


def test_a_table_is_read_as_text_whatever_else_it_holds(write: Write):
    path = write('\ufefftrack_id,offset,recording,artist\r\nNA,1.5,007,\r\n\r\n1990,2,,"A, B"\r\n')
    assert groups_from(path).values.tolist() == [["NA", "", "007"], ["1990", "A, B", ""]]
    assert list(groups_from(path).columns) == ["track_id", "artist", "recording"]


@pytest.mark.parametrize("kind", ["artist", "recording"])
def test_one_of_the_two_columns_is_enough(write: Write, kind: str):
    found = groups_from(write(f"track_id,{kind}\na,x\nb,x\n"))
    assert list(join_groups(rows(ALONE), found)["group"])[:3] == ["rock/a", "rock/a", "rock/c"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"has the columns none; a table of groups is a CSV with track_id and artist or"),
        ("track,artist\na,x\n", r"has the columns track, artist; a table"),
        ("track_id,singer\na,x\n", r"has the columns track_id, singer; a table"),
        ("track_id,artist,artist\na,x,y\n", r"has the columns track_id, artist, artist; a table"),
        ("track_id,artist\na,x\nb\nc,x,y\n", r"2 rows without the 2 cells .* that of 'b'$"),
        ("track_id,artist\na,x\nb,x\na,x\n", r"has more than one row of 'a'$"),
        ('track_id,artist\na,"x\n', r"cannot be read \(.*; a table"),
    ],
)  # fmt: skip
def test_a_table_that_is_wrong_is_one_line(write: Write, text: str, message: str):
    with pytest.raises(DataError, match=message) as error:
        groups_from(write(text))
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_or_no_text_is_one_line(tmp_path: Path):
    with pytest.raises(DataError, match=r"groups in .*none\.csv cannot be read \(.*; a table of"):
        groups_from(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes(b"track_id,artist\na,Bj\xf6rk\n")
    with pytest.raises(DataError, match=r"latin\.csv cannot be read \(.*utf-8"):
        groups_from(tmp_path / "latin.csv")
    with pytest.raises(DataError, match=r"groups is '.*none\.csv', which is no file; give a CSV"):
        SplitSettings(groups=str(tmp_path / "none.csv")).check_folder()


# Splits by groups

GENRES = ("blues", "jazz", "rock")
SIDES = {"train": range(7), "val": (7, 8), "test": (9, 10)}


@pytest.fixture
def music(tmp_path: Path, make_corpus) -> Path:
    return make_corpus(tmp_path / "music", tracks=12)


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    for name, numbers in SIDES.items():
        ids = [f"{genre}.{i:05d}" for genre in GENRES for i in numbers]
        (tmp_path / f"{name}.txt").write_text("\n".join(ids))
    return tmp_path


@pytest.fixture
def artists(write: Write) -> str:
    """Artists of two tracks each; those of jazz have played in pairs of pairs."""
    lines = ["track_id,artist"]
    for genre, tracks in (("blues", 2), ("jazz", 4), ("rock", 2)):
        lines += [f"{genre}.{i:05d},{genre} {i // tracks}" for i in range(12)]
    return str(write("\n".join(lines)))


@pytest.mark.parametrize("seed", range(4))
def test_a_random_split_keeps_artists_together(music: Path, artists: str, seed: int):
    dealing = SplitSettings(groups=artists, split_seed=seed)
    corpus = open_corpus(CorpusSettings(data=str(music)), dealing)
    assert corpus.split.grouped["group"].nunique() == 6 + 3 + 6
    assert (corpus.split.grouped.groupby("group")["split"].nunique() == 1).all()
    assert corpus.split.shared == []


def test_groups_of_copies_stay_what_they_are(music: Path, artists: str):
    corpus = open_corpus(CorpusSettings(data=str(music)), SplitSettings(groups=artists))
    assert list(corpus.manifest["group"]) == list(corpus.manifest["track_id"])
    assert faults(corpus)["copies"] == []


def test_a_large_artist_is_passed_over_where_smaller_ones_are_left():
    names = [f"{genre}/{i:02d}" for genre in "ab" for i in range(40)]
    manifest = rows({name: name[:2] + (f"{i % 40}" if i % 40 < 22 else "large")
                     for i, name in enumerate(names)})  # fmt: skip
    manifest = manifest.assign(genre=[name[0] for name in names], split="")
    for seed in range(10):
        dealt = split(manifest, SplitSettings(split_seed=seed)).manifest
        assert dealt["split"].value_counts().to_dict() == {"train": 64, "val": 8, "test": 8}


def test_of_artists_that_are_all_too_large_the_smallest_are_taken():
    names = [f"{genre}/{i:02d}" for genre in "ab" for i in range(20)]
    groups = [f"{genre}{artist}" for genre in "ab" for artist in "x" * 9 + "y" * 7 + "z" * 4]
    manifest = rows(dict(zip(names, groups, strict=True)))
    manifest = manifest.assign(genre=[name[0] for name in names], split="")
    for seed in range(5):
        dealt = split(manifest, SplitSettings(split_seed=seed)).manifest
        assert dealt["split"].value_counts().to_dict() == {"train": 18, "val": 14, "test": 8}


def test_a_genre_of_two_artists_is_refused(write: Write, music: Path):
    text = "\n".join(["track_id,artist", *(f"jazz.{i:05d},{i % 2}" for i in range(12))])
    with pytest.raises(DataError, match="genre 'jazz' has 2 track groups; at least 3 are needed"):
        open_corpus(CorpusSettings(data=str(music)), SplitSettings(groups=str(write(text))))


def test_an_artist_on_two_sides_of_a_given_split_is_told_once(
    lists: Path, music: Path, artists: str, caplog: pytest.LogCaptureFixture
):
    dealing = SplitSettings(split_dir=str(lists), groups=artists)
    with caplog.at_level(logging.WARNING):
        corpus = open_corpus(CorpusSettings(data=str(music)), dealing)
    (line,) = caplog.messages
    assert line.startswith(
        "Warning: 6 artists on two sides of the split, 15 tracks in all: artist jazz 1 (4 tracks: "
        "jazz/jazz.00004 in train, jazz/jazz.00007 in val); artist jazz 2 (3 tracks: "
    )
    assert line.endswith(" in val) and 1 more; a test says too much of them (`corpus scan "
                         "--faults FILE.json` names all of them)")  # fmt: skip
    assert len(faults(corpus)["groups_in_two_splits"]) == 6
    assert faults(corpus)["groups_in_two_splits"][2] == {
        "kind": "artist", "name": "blues 3",
        "tracks": {"blues/blues.00006": "train", "blues/blues.00007": "val"},
    }  # fmt: skip
    shown = "  artist blues 3 (2 tracks: blues/blues.00006 in train, blues/blues.00007 in val)\n"
    assert shown in overview(corpus)
    caplog.clear()
    open_corpus(CorpusSettings(data=str(music)), SplitSettings(split_dir=str(lists)))
    assert caplog.messages == []


def test_an_artist_on_two_sides_is_refused_where_the_column_is_named(
    lists: Path, music: Path, artists: str, caplog: pytest.LogCaptureFixture
):
    dealing = SplitSettings(split_dir=str(lists), groups=artists, group_by="artist")
    message = (
        r"^6 artists on two sides of the split, 15 tracks in all: artist jazz 1 \(4 tracks: .* "
        r"train all the same with --allow-leak; `corpus scan --allow-leak --faults FILE\.json` n"
    )
    with pytest.raises(DataError, match=message) as error:
        open_corpus(CorpusSettings(data=str(music)), dealing)
    assert "\n" not in str(error.value)
    with caplog.at_level(logging.WARNING):
        corpus = open_corpus(CorpusSettings(data=str(music)), replace(dealing, allow_leak=True))
    assert len(caplog.messages) == 1 and len(corpus.split.shared) == 6


def test_folders_of_splits_are_refused_as_lists_are(music: Path, artists: str, tmp_path: Path):
    for name, numbers in SIDES.items():
        for genre in GENRES:
            folder = tmp_path / "folders" / name / genre
            folder.mkdir(parents=True)
            for i in numbers:
                copy2(music / genre / f"{genre}.{i:05d}.png", folder)
    dealing = SplitSettings(groups=artists, group_by="artist", on_missing="skip")
    with pytest.raises(DataError, match=r"^6 artists on two sides of the split, 15 tracks in all"):
        open_corpus(CorpusSettings(data=str(tmp_path / "folders")), dealing)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", KINDS)
def test_the_named_column_alone_joins(music: Path, write: Write, kind: str, seed: int):
    lines = [f"{genre}.{i:05d},a {genre} {i // 3},r {genre} {i // 2}"
             for genre in GENRES for i in range(12)]  # fmt: skip
    table = str(write("\n".join(["track_id,artist,recording", *lines])))
    dealing = SplitSettings(groups=table, group_by=kind, split_seed=seed)
    found = open_corpus(CorpusSettings(data=str(music)), dealing).split
    assert found.grouped["group"].nunique() == 3 * (12 // {"artist": 3, "recording": 2}[kind])
    assert (found.grouped.groupby("group")["split"].nunique() == 1).all()
    assert found.shared == []


@pytest.mark.parametrize(("kind", "other"), [KINDS, KINDS[::-1]])
def test_a_column_that_is_named_must_be_there(write: Write, music: Path, kind: str, other: str):
    dealing = SplitSettings(groups=str(write(f"track_id,{other}\nblues.00000,x\n")), group_by=kind)
    with pytest.raises(DataError, match=f"columns track_id, {other}; .* {kind}, to group by it$"):
        open_corpus(CorpusSettings(data=str(music / "none")), dealing)


def test_a_column_without_a_table_is_refused():
    with pytest.raises(SettingsError, match=r"^group_by is 'artist', but there is no table"):
        SplitSettings(group_by="artist")


@pytest.mark.parametrize("column", ["", " ", "track_id", "group", "split"])
def test_a_column_of_the_manifest_joins_nothing(column: str):
    with pytest.raises(SettingsError, match=rf"^group_by is '{column}'; allowed are 'all' and the"):
        SplitSettings(groups="groups.csv", group_by=column)


@pytest.mark.parametrize("column", ["album", "label of the record", "genre", "path"])
def test_any_column_may_join(music: Path, lists: Path, write: Write, column: str):
    lines = [f"{genre}.{i:05d},x,{genre} {i // 4}" for genre in GENRES for i in range(12)]
    table = str(write("\n".join([f"track_id,artist,{column}", *lines])))
    dealing = SplitSettings(groups=table, group_by=column)
    found = open_corpus(CorpusSettings(data=str(music)), dealing).split
    assert found.grouped["group"].nunique() == 9
    assert (found.grouped.groupby("group")["split"].nunique() == 1).all()
    message = rf"^6 {column}s on two sides of the split, .*: {column} blues 1 \(4 tracks: "
    with pytest.raises(DataError, match=message):
        open_corpus(CorpusSettings(data=str(music)), replace(dealing, split_dir=str(lists)))


def test_a_column_that_the_table_has_not_is_one_line_with_those_that_it_has(write: Write):
    path = write("track_id,artist,album\na,x,y\n")
    with pytest.raises(DataError, match=r"has the columns track_id, artist, album; .* with track_i"
                       r"d and label, to group by it$"):  # fmt: skip
        groups_from(path, "label")
    with pytest.raises(DataError, match=r"another column is to be named with --group-by\)$"):
        groups_from(write("track_id,album\na,y\n"))


# Groups that a given split parts

DEALT = {"rock/a": "train", "rock/b": "test", "rock/c": "val", "rock/d": "train", "rock/e": "test"}


def parted(*lines: tuple[str, str, str], **groups: str) -> list[SharedGroup]:
    """What is shared between sides of `DEALT`, and of a track `rock/x` that is on none."""
    tracks = {track: groups.get(track[-1], track) for track in [*DEALT, "rock/x"]}
    known = known_groups(rows(tracks), table(*lines))
    return shared_groups(rows(tracks).iloc[:5].assign(split=[*DEALT.values()]), known)


def test_recordings_come_first_and_are_told_as_what_they_are():
    lines = ("a", "Ann", ""), ("b", "Ann", ""), ("c", "Ann", ""), ("d", "Dee", "X"), ("e", "", "X")
    found = parted(*lines)
    assert [(one.kind, one.name) for one in found] == [("recording", "X"), ("artist", "Ann")]
    assert in_words(found) == (
        "1 recording and 1 artist on two sides of the split, 5 tracks in all: "
        "recording X (2 tracks: rock/d in train, rock/e in test); "
        "artist Ann (3 tracks: rock/a in train, rock/c in val, rock/b in test); "
        "of one recording twice, a test measures memory"
    )
    assert in_words(found[1:]).endswith("; a test says too much of them")


def test_a_chain_by_way_of_a_track_on_no_side_is_told_as_a_group():
    (found,) = parted(("a", "Ann", ""), ("x", "Ann", "X"), ("b", "Bo", "X"))
    assert (found.kind, found.name) == ("group", "rock/a")
    assert found.tracks == {"rock/a": "train", "rock/b": "test"}


def test_a_chain_of_what_is_told_is_not_told_again_and_copies_are_no_group():
    (found,) = parted(("a", "Ann", ""), ("b", "Ann", "X"), ("e", "", "X"))
    assert (found.kind, found.name) == ("artist", "Ann")
    assert parted(("c", "Cy", ""), a="1", b="1") == []


def test_what_would_steer_a_terminal_is_written_as_its_number():
    (found,) = parted(("a", "\x1b[2J", ""), ("b", "\x1b[2J", ""))
    assert str(found).startswith(r"artist \x1b[2J (2 tracks: ")


def test_a_wrong_table_is_told_before_the_files_are_read(tmp_path: Path, write: Write):
    table = str(write("track_id,singer\na,x\n"))
    with pytest.raises(DataError, match="has the columns track_id, singer"):
        open_corpus(CorpusSettings(data=str(tmp_path / "none")), SplitSettings(groups=table))


# Real images


def test_thirteen_artists_are_on_two_sides_of_the_filtered_split(real_data, real_manifest):
    dealing = SplitSettings(
        split_dir=str(real_data / "splits" / "gtzan-filtered"), on_missing="skip",
        groups=str(real_data / "groups" / "gtzan-groups.csv"),
    )  # fmt: skip
    found = split(real_manifest, dealing)
    assert {one.kind for one in found.shared} == {"artist"}
    assert (len(found.shared), sum(len(one.tracks) for one in found.shared)) == (13, 102)
    largest = "artist262 (30 tracks: reggae/reggae.00000 in train, reggae/reggae.00087 in test)"
    assert str(found.shared[0]) == largest and largest in found.warning
    with pytest.raises(DataError, match=r"^13 artists on two sides of the split, 102 tracks in"):
        split(real_manifest, replace(dealing, group_by="artist"))
    assert split(real_manifest, replace(dealing, group_by="recording")).shared == []
    assert len(found.manifest) == 929
    grouped = join_groups(real_manifest, groups_from(Path(dealing.groups)))
    assert grouped["group"].nunique() == 328
    assert grouped["group"].value_counts().iloc[:2].to_dict() == {
        "reggae/reggae.00000": 36, "pop/pop.00015": 23,
    }  # fmt: skip
