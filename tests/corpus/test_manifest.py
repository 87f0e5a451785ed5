"""Scanning: one row a track, every bad file named at once, copies in one group."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sounds import encode, tone

from genre_mlflow.corpus.folders import BadFile, look_below
from genre_mlflow.corpus.manifest import (
    COLUMNS,
    conflicting_groups,
    copied_groups,
    digest,
    name_groups,
)
from genre_mlflow.corpus.scan import scan
from genre_mlflow.corpus.settings import SplitSettings
from genre_mlflow.corpus.splits import split
from genre_mlflow.errors import DataError
from genre_mlflow.features.images import KNOWN

REAL_COPIES = {
    ("disco/disco.00098", "disco/disco.00099"),
    ("hiphop/hiphop.00039", "hiphop/hiphop.00045"),
    ("hiphop/hiphop.00076", "hiphop/hiphop.00078"),
    ("metal/metal.00034", "metal/metal.00094"),
    ("metal/metal.00040", "metal/metal.00061"),
    ("metal/metal.00041", "metal/metal.00062"),
    ("metal/metal.00042", "metal/metal.00063"),
    ("metal/metal.00043", "metal/metal.00064"),
    ("metal/metal.00044", "metal/metal.00065"),
    ("metal/metal.00045", "metal/metal.00066"),
    ("metal/metal.00058", "rock/rock.00016"),
    ("pop/pop.00054", "pop/pop.00060"),
    ("pop/pop.00067", "pop/pop.00071"),
    ("reggae/reggae.00081", "reggae/reggae.00082"),
}


@pytest.fixture
def corpus(tmp_path, make_corpus):
    return make_corpus(tmp_path / "music", tracks=3)


def ids(folder, **options):
    return list(scan(folder, **options).manifest["track_id"])


def test_one_row_a_track(corpus):
    manifest = scan(corpus).manifest
    assert list(manifest.columns) == COLUMNS
    assert len(manifest) == 9
    first = manifest.iloc[0]
    assert first["track_id"] == first["group"] == "blues/blues.00000"
    assert first["path"] == str(corpus / "blues" / "blues.00000.png")
    assert (first["genre"], first["split"]) == ("blues", "")
    assert re.fullmatch("[0-9a-f]{64}", first["sha256"])
    assert list(manifest["track_id"]) == sorted(manifest["track_id"])


def test_png_and_jpeg_at_any_depth_are_tracks(corpus):
    (corpus / "jazz" / "album" / "side").mkdir(parents=True)
    Image.linear_gradient("L").resize((9, 9)).save(
        corpus / "jazz" / "album" / "side" / "song 1.JPEG"
    )
    assert "jazz/album/side/song 1" in ids(corpus)
    assert set(scan(corpus).manifest["genre"]) == {"blues", "jazz", "rock"}


@pytest.mark.parametrize(
    "name",
    [
        "blues/._blues.00000.png",
        "blues/.DS_Store",
        "blues/.hidden/a.png",
        ".git/a.png",
        "notes.txt",
    ],
)
def test_hidden_files_and_files_beside_the_genres_are_no_tracks(corpus, name):
    before = ids(corpus)
    (corpus / name).parent.mkdir(exist_ok=True)
    (corpus / name).write_bytes(b"Mac OS X")
    assert ids(corpus) == before


def test_hidden_folders_above_the_corpus_do_not_hide_it(tmp_path, make_corpus):
    assert len(ids(make_corpus(tmp_path / ".cache" / "music"))) == 24


def test_a_corpus_reached_through_links_is_read(tmp_path, corpus):
    link = tmp_path / "linked"
    link.mkdir()
    for genre in ("blues", "jazz"):
        (link / genre).symlink_to(corpus / genre, target_is_directory=True)
    assert len(ids(link)) == 6


def spoil(corpus):
    """Put five bad files into a corpus; return their names with the expected reasons."""
    whole = (corpus / "blues" / "blues.00000.png").read_bytes()
    (corpus / "blues" / "empty.png").write_bytes(b"")
    (corpus / "blues" / "notes.txt").write_text("to do")
    (corpus / "jazz" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (corpus / "rock" / "junk.jpg").write_bytes(b"\xff\xd8\xff" + bytes(50))
    (corpus / "rock" / "lost.png").symlink_to("nowhere.png")
    return {
        "blues/empty.png": "is empty",
        "blues/notes.txt": rf"is neither {re.escape(KNOWN)} \(5 bytes\)",
        "jazz/cut.png": "is damaged or truncated",
        "rock/junk.jpg": "is (damaged or truncated|neither)",
        "rock/lost.png": "cannot be read: No such file",
    }


def test_all_bad_files_are_named_at_once_with_path_and_reason(corpus):
    expected = spoil(corpus)
    with pytest.raises(DataError, match=r"^5 files below .* --on-bad-file skip") as error:
        scan(corpus)
    for name, reason in expected.items():
        assert re.search(f"{re.escape(str(corpus / name))}: {reason}", str(error.value))


def test_bad_files_are_skipped_and_recorded_if_asked(corpus):
    before = ids(corpus)
    expected = spoil(corpus)
    result = scan(corpus, on_bad_file="skip")
    assert list(result.manifest["track_id"]) == before
    found = {bad.path.relative_to(corpus).as_posix(): bad.reason for bad in result.bad_files}
    assert found.keys() == expected.keys()
    assert all(re.match(expected[name], reason) for name, reason in found.items())


posix_only = pytest.mark.skipif(os.name != "posix", reason="other systems have other rights")
SCAN_AS_NOBODY = """
import os, sys
from pathlib import Path
from genre_mlflow.corpus.scan import scan
from genre_mlflow.errors import DataError
import scipy.sparse.csgraph  # a scan imports it late, and nobody may not be able to read it then
from PIL import Image
Image.preinit()  # the same with Pillow's readers
if os.geteuid() == 0:  # who reads everything
    os.seteuid(65534)
for folder in sys.argv[1:]:
    try:
        print(*scan(Path(folder)).manifest["track_id"])
    except DataError as error:
        print(error)
"""


@posix_only
@pytest.mark.slow
def test_folders_that_cannot_be_read_are_bad(make_corpus):
    with tempfile.TemporaryDirectory() as name:  # pytest's own belong to one user alone
        corpus, other = make_corpus(Path(name, "music")), make_corpus(Path(name, "other"))
        Path(name).chmod(0o755)
        closed = [corpus / "jazz" / "album", corpus / "metal", corpus / "pop" / "a" / "b"]
        for folder in closed:
            folder.mkdir(parents=True)
        for folder in (*closed, other):
            folder.chmod(0)
        command = [sys.executable, "-c", SCAN_AS_NOBODY, corpus, other]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        for folder in (*closed, other):
            folder.chmod(0o755)
    head, *lines = done.stdout.splitlines()
    assert head.startswith(f"3 files below {corpus} cannot be used")
    assert lines[:3] == [f"  {folder}: cannot be read: Permission denied" for folder in closed]
    assert lines[3:] == [f"{other} cannot be read: Permission denied"]


@posix_only
def test_pipes_sockets_and_devices_are_no_tracks(corpus, monkeypatch):
    before = look_below(corpus)[0]
    os.mkfifo(corpus / "jazz" / "pipe.png")
    monkeypatch.chdir(corpus)  # a socket's path has at most 107 characters
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("jazz/socket.png")
        assert look_below(corpus)[0] == before


@pytest.mark.parametrize("hidden", [False, True])
def test_an_empty_genre_folder_is_bad(corpus, hidden):
    (corpus / "metal").mkdir()
    if hidden:
        (corpus / "metal" / ".DS_Store").write_bytes(b"x")
    with pytest.raises(DataError, match=f"{corpus / 'metal'}: is empty"):
        scan(corpus)
    result = scan(corpus, "skip")
    assert result.bad_files == [BadFile(corpus / "metal", "is empty")]
    assert "metal" not in set(result.manifest["genre"])


@posix_only
@pytest.mark.parametrize("name", [b"jazz/caf\xe9.png", b"caf\xe9/a.png", b"jazz/caf\xe9/a.png"])
def test_a_name_that_is_not_utf8_is_bad(corpus, name):
    raw = os.fsencode(corpus) + b"/" + name
    try:
        os.makedirs(os.path.dirname(raw), exist_ok=True)
        shutil.copy(corpus / "jazz" / "jazz.00000.png", raw)
    except OSError:
        pytest.skip("this file system takes no such name")
    with pytest.raises(DataError, match=r"^1 file [\s\S]*caf.*that is not UTF-8; rename it$"):
        scan(corpus)
    digest(scan(corpus, "skip").manifest)


@pytest.mark.parametrize(
    ("genres", "found"), [([], "none"), (["blues"], "only 'blues'")], ids=["none", "one"]
)
def test_fewer_than_two_genres_are_refused(tmp_path, make_corpus, genres, found):
    folder = tmp_path / "music"
    folder.mkdir()
    make_corpus(folder, genres=genres)
    with pytest.raises(DataError, match=f"has {found} of the two genres or more"):
        scan(folder)


def test_one_genre_left_after_skipping_is_refused_with_the_reason(tmp_path, make_corpus):
    folder = make_corpus(tmp_path / "music", genres=("blues", "jazz"), tracks=2)
    for path in (folder / "jazz").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"only 'blues' .* \(2 files could not be read\)"):
        scan(folder, "skip")


def test_no_file_left_after_skipping_is_refused(tmp_path, make_corpus):
    folder = make_corpus(tmp_path / "music", genres=("blues", "jazz"), tracks=1)
    for path in folder.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match="has none of the two genres"):
        scan(folder, "skip")


@pytest.mark.parametrize("name", ["absent", "file.png"])
def test_what_is_no_folder_is_refused(tmp_path, name):
    (tmp_path / "file.png").write_bytes(b"x")
    with pytest.raises(DataError, match=f"{name} is no folder; give one .* or 'demo'"):
        scan(tmp_path / name)


def test_one_name_with_two_extensions_is_refused(corpus):
    Image.linear_gradient("L").resize((9, 9)).save(corpus / "jazz" / "jazz.00001.jpg")
    with pytest.raises(DataError, match=r"one name with two extensions, .*'jazz/jazz.00001'"):
        scan(corpus)


def test_same_pixels_are_one_group_even_if_the_bytes_differ(corpus):
    source = corpus / "blues" / "blues.00001.png"
    with Image.open(source) as image:
        image.convert("RGBA").save(corpus / "blues" / "copy.png", compress_level=1)
    manifest = scan(corpus).manifest.set_index("track_id")
    one, copy = manifest.loc["blues/blues.00001"], manifest.loc["blues/copy"]
    assert one["sha256"] != copy["sha256"]
    assert one["group"] == copy["group"] == "blues/blues.00001"
    assert copied_groups(manifest.reset_index()) == [["blues/blues.00001", "blues/copy"]]
    assert conflicting_groups(manifest.reset_index()) == []


def rename(corpus, **names):
    """Blues 0 to 3 of the corpus by new names: `_00001="one.seg000"`."""
    for old, new in names.items():
        source = corpus / "blues" / f"blues.{old[1:]}.png"
        source.rename(source.with_name(f"{new}.png"))


def test_segments_of_one_recording_are_one_group_and_no_copies(corpus):
    rename(corpus, _00000="a.seg000", _00001="a.seg001", _00002="a.seg1000")
    group = scan(corpus).manifest.set_index("track_id")["group"]
    assert set(group[["blues/a.seg000", "blues/a.seg001", "blues/a.seg1000"]]) == {"blues/a.seg000"}
    assert group.nunique() == 7
    assert copied_groups(scan(corpus).manifest) == []


@pytest.mark.parametrize("other", ["a.seg01", "a.seg", "a.segment001", "aseg001", "b.seg001", "A"])
def test_what_is_no_segment_stays_alone(corpus, other):
    rename(corpus, _00000="a.seg000", _00001=other)
    assert scan(corpus).manifest["group"].nunique() == 9


def test_segments_in_two_folders_are_two_recordings(corpus):
    rename(corpus, _00000="a.seg000")
    (corpus / "rock" / "rock.00000.png").rename(corpus / "rock" / "a.seg001.png")
    assert scan(corpus).manifest["group"].nunique() == 9


def test_segments_and_copies_join_into_one_group(corpus):
    # a0 - a1 (segments), a1 = b0 (copies), b0 - b1 (segments), b1 = rock/c (copies)
    rename(corpus, _00000="a.seg000", _00001="a.seg001", _00002="b.seg001")
    shutil.copy(corpus / "blues" / "a.seg001.png", corpus / "blues" / "b.seg000.png")
    shutil.copy(corpus / "blues" / "b.seg001.png", corpus / "rock" / "c.png")
    manifest = scan(corpus).manifest
    joined = manifest["track_id"][manifest["group"] == "blues/a.seg000"]
    assert list(joined) == [f"blues/{n}" for n in ("a.seg000", "a.seg001", "b.seg000", "b.seg001")
                            ] + ["rock/c"]  # fmt: skip
    assert copied_groups(manifest) == [["blues/a", "blues/b", "rock/c"]]
    assert conflicting_groups(manifest) == [["blues/a", "blues/b", "rock/c"]]


def dealt_segments(folder: Path, make_corpus, numbers: dict[str, list[int]]) -> Path:
    """Segments of one recording a genre, with these numbers in train, val and test."""
    for split_name, own in numbers.items():
        make_corpus(folder / split_name, tracks=len(own), size=32 + len(split_name))
        for genre in (folder / split_name).iterdir():
            for path, number in zip(sorted(genre.glob("*.png")), own, strict=True):
                path.rename(genre / f"song.seg{number:03d}.png")
    return folder


def test_groups_of_a_large_manifest_are_found_at_once():
    n = 20_000  # a chain of 100 recordings, each with a copy of a segment of the next; pairs
    ids = [f"rock/{i // 2:05d}.seg{i % 2:03d}" for i in range(n)]
    contents = [str((i + 1) // 2 if i < 200 else -i) for i in range(n)]
    manifest = pd.DataFrame({"track_id": ids, "group": contents, "split": ""})
    started = time.process_time()
    groups = name_groups(manifest)
    assert time.process_time() - started < 1
    assert set(groups[:200]) == {ids[0]}
    assert groups[200:].tolist() == [name for name in ids[200::2] for _ in range(2)]


def test_segments_dealt_to_train_val_and_test_are_a_leak(tmp_path, make_corpus):
    numbers = {"train": [0, 1, 4], "val": [2], "test": [3]}
    manifest = scan(dealt_segments(tmp_path, make_corpus, numbers)).manifest
    assert manifest["group"].nunique() == manifest["genre"].nunique()
    with pytest.raises(DataError, match=r"other segments, in another split, .*song\.seg003 \(test"):
        split(manifest, SplitSettings())


def test_recordings_of_one_name_in_train_val_and_test_are_no_leak(tmp_path, make_corpus):
    numbers = {"train": [0, 1], "val": [0, 1, 2], "test": [0]}
    manifest = scan(dealt_segments(tmp_path, make_corpus, numbers)).manifest
    assert manifest["group"].nunique() == 3 * manifest["genre"].nunique()
    assert split(manifest, SplitSettings()).leaks == []


def test_no_split_separates_the_segments_of_a_recording(tmp_path, make_corpus):
    folder = make_corpus(tmp_path / "music", tracks=24)
    for path in sorted(folder.rglob("*.png")):
        n = int(path.stem[-5:])
        path.rename(path.with_name(f"{n % 8}.seg{n // 8:03d}.png"))
    for seed in range(5):
        dealt = split(scan(folder).manifest, SplitSettings(split_seed=seed)).manifest
        sides = dealt.groupby(dealt["track_id"].str[:-7])["split"].nunique()
        assert len(sides) == 24 and (sides == 1).all()


def test_one_pixel_makes_another_group(corpus):
    with Image.open(corpus / "blues" / "blues.00001.png") as image:
        image.putpixel((0, 0), 200)
        image.save(corpus / "blues" / "nearly.png")
    assert copied_groups(scan(corpus).manifest) == []


def test_conflicting_labels_are_kept_and_reported(corpus):
    shutil.copy(corpus / "blues" / "blues.00001.png", corpus / "rock" / "again.png")
    manifest = scan(corpus).manifest
    assert conflicting_groups(manifest) == [["blues/blues.00001", "rock/again"]]
    assert len(manifest) == 10


def test_folders_train_val_test_give_the_split(tmp_path, make_corpus):
    for part in ("train", "val", "test"):
        make_corpus(tmp_path / "music" / part, tracks=2)
    manifest = scan(tmp_path / "music").manifest
    assert set(manifest["split"]) == {"train", "val", "test"}
    assert set(manifest["genre"]) == {"blues", "jazz", "rock"}
    assert "test/rock/rock.00001" in set(manifest["track_id"])
    assert (manifest["track_id"].str.split("/").str[0] == manifest["split"]).all()


@pytest.mark.parametrize(
    "present",
    [
        ["test", "train"],
        ["val"],
        ["test", "train", "valid"],
        ["test", "train", "validation"],
        ["Test", "Train", "Val"],
        ["dev", "test", "train"],
        ["blues", "test", "train", "val"],
        ["blues", "jazz", "train"],
    ],
)
def test_folders_named_like_splits_are_train_val_and_test_or_none(tmp_path, make_corpus, present):
    for part in present:
        make_corpus(tmp_path / "music" / part, tracks=1)
    named = rf"music holds {', '.join(present)}; allowed are the folders train, val, test, spelled"
    with pytest.raises(DataError, match=named):
        scan(tmp_path / "music")


def test_conflicts_are_found_in_a_large_manifest_at_once():
    n = 20_000
    groups = [str(i // 2 if i < 10 else i) for i in range(n)]
    genres = ["jazz" if i % 4 == 1 else "blues" for i in range(n)]
    manifest = pd.DataFrame({"track_id": map(str, range(n)), "group": groups, "genre": genres})
    started = time.process_time()
    assert conflicting_groups(manifest) == [["0", "1"], ["4", "5"], ["8", "9"]]
    assert time.process_time() - started < 0.5  # 0.02 s; a function for each group took 2 s


def test_digest_names_contents_and_splits_but_not_places(tmp_path, corpus):
    manifest = scan(corpus).manifest
    moved = scan(shutil.copytree(corpus, tmp_path / "moved")).manifest
    assert re.fullmatch("[0-9a-f]{32}", digest(manifest))
    assert digest(moved) == digest(manifest) == digest(manifest.iloc[::-1])
    others = [
        manifest.assign(split="train"),
        manifest.assign(genre="blues"),
        manifest.assign(sha256=manifest["sha256"].iloc[::-1].to_numpy()),
        manifest.iloc[1:],
    ]
    assert len({digest(table) for table in [manifest, *others]}) == 5


def test_a_track_that_changes_changes_the_digest(corpus):
    before = digest(scan(corpus).manifest)
    Image.linear_gradient("L").resize((32, 32)).save(corpus / "blues" / "blues.00000.png")
    assert digest(scan(corpus).manifest) != before


def test_real_images_are_999_tracks_with_14_pairs_of_copies(real_manifest):
    assert len(real_manifest) == 999
    assert real_manifest["genre"].value_counts().to_dict() == {
        **dict.fromkeys(real_manifest["genre"].unique(), 100),
        "jazz": 99,
    }
    assert {tuple(group) for group in copied_groups(real_manifest)} == REAL_COPIES
    assert conflicting_groups(real_manifest) == [["metal/metal.00058", "rock/rock.00016"]]


def test_recordings_and_images_make_one_corpus(corpus):
    sound = encode(tone(2.0))
    (corpus / "jazz" / "song 🎷 1.wav").write_bytes(sound)
    (corpus / "jazz" / "album.flac").mkdir()
    (corpus / "jazz" / "album.flac" / "b.flac").write_bytes(encode(tone(2.0), "FLAC"))
    (corpus / "rock" / "loud.mp3").write_bytes(encode(tone(2.0, 880), "MP3"))
    manifest = scan(corpus).manifest.set_index("track_id")
    assert {"jazz/song 🎷 1", "jazz/album.flac/b", "rock/loud"} <= set(manifest.index)
    group = manifest["group"]
    assert group["jazz/song 🎷 1"] == group["jazz/album.flac/b"]  # the same sound
    assert group["rock/loud"] == "rock/loud"


def test_bad_recordings_are_named_with_their_reasons(corpus):
    bad = {
        "blues/silent.wav": (encode(np.zeros(44_100)), r"is silent throughout \(2\.0 s\)"),
        "blues/short.flac": (encode(tone(0.01), "FLAC"), r"lasts 0\.01 s; at least 1 s"),
        "jazz/half.flac": (encode(tone(2.0), "FLAC")[:9000], "is damaged or truncated"),
        "jazz/words.mp3": (b"these are words", "is neither a PNG"),
        "rock/film.wav": (b"RIFF____AVI LIST" + bytes(99), "is neither a PNG"),
    }
    for name, (data, _) in bad.items():
        (corpus / name).write_bytes(data)
    found = {
        b.path.relative_to(corpus).as_posix(): b.reason for b in scan(corpus, "skip").bad_files
    }
    assert found.keys() == bad.keys()
    for name, (_, reason) in bad.items():
        assert re.match(reason, found[name]), found[name]
