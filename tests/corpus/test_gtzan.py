import os
import re
import shlex
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd
import pytest
import sounds
from click.testing import CliRunner, Result
from gtzan_hub import CORRUPT, TRACKS, small_collection, sound_of, tarball

from genre_mlflow.cli.main import main
from genre_mlflow.corpus.gtzan.collection import Collection, canonical_wav, gtzan
from genre_mlflow.corpus.gtzan.layout import prepare, summary
from genre_mlflow.corpus.manifest import COLUMNS
from genre_mlflow.errors import DataError, SettingsError

GARBAGE = b"\0\5\x16\7 what a Mac leaves beside a file"
Files = Iterable[tuple[str, bytes]]


@pytest.fixture(scope="module")
def collection() -> Collection:
    return small_collection()


def marsyas(kind: str = "AU") -> list[tuple[str, bytes]]:
    files = [(f"genres/{t[:-6]}/{t}.{kind.lower()}", sound_of(t, kind)) for t in [*TRACKS, CORRUPT]]
    return [*files, ("genres/bextract_single.mf", b"a list")]


def kaggle() -> list[tuple[str, bytes]]:
    files: list[tuple[str, bytes]] = [("Data/features_30_sec.csv", b"a,b\n")]
    for track in [*TRACKS, CORRUPT]:
        genre = track[:-6]
        files.append((f"Data/genres_original/{genre}/{track}.wav", sound_of(track)))
        files.append((f"__MACOSX/Data/genres_original/{genre}/._{track}.wav", GARBAGE))
        files.append((f"Data/images_original/{genre}/{track.replace('.', '')}.png", b"PNG"))
    return files


def as_folder(path: Path, files: Files) -> Path:
    for name, data in files:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def as_zip(path: Path, files: Files) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files:
            archive.writestr(name, data)
    return path


def as_tar(path: Path, files: Files) -> Path:
    path.write_bytes(tarball(files))
    return path


def tracks_in(out: Path) -> list[str]:
    return sorted(p.relative_to(out / "genres").as_posix() for p in out.glob("genres/**/*.*"))


def listed(out: Path, name: str) -> list[str]:
    return (out / "split" / f"{name}.txt").read_text().split()


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["corpus", "gtzan", *words], catch_exceptions=False)


def test_table_is_the_whole_collection_with_the_filtered_split():
    table = gtzan()
    assert len(table.tracks) == 999
    assert table.corrupt == ["jazz.00054"]
    sides = list(table.sides.values())
    assert [sides.count(s) for s in ("train", "val", "test", "excluded")] == [442, 197, 290, 70]
    assert len({track.split(".")[0] for track in table.tracks}) == 10
    assert all(len(value) == 64 for value in table.sha256.values())


@pytest.mark.parametrize(
    ("write", "files"),
    [
        (as_folder, kaggle()),
        (as_folder, marsyas()),
        (as_zip, kaggle()),
        (as_tar, marsyas()),
        (as_tar, marsyas("FLAC")),
        (as_zip, [(f"./{name.rpartition('/')[2]}", data) for name, data in kaggle()]),
    ],
    ids=["Kaggle", "Marsyas", "Kaggle.zip", "Marsyas.tar.gz", "FLAC.tar.gz", "flat.zip"],
)
def test_every_distribution_becomes_the_same_corpus(
    tmp_path: Path, collection: Collection, write: Callable[[Path, Files], Path], files: Files
):
    out = tmp_path / "out"
    result = prepare(out, collection, str(write(tmp_path / "source", files)))
    names = [Path(name).with_suffix("").as_posix() for name in tracks_in(out)]
    assert names == sorted(f"{track[:-6]}/{track}" for track in TRACKS)
    table = pd.read_csv(out / "manifest.csv", keep_default_na=False)
    assert list(table.columns) == COLUMNS
    assert list(table["track_id"]) == names
    for side in ("train", "val", "test", "excluded"):
        expected = sorted(track for track, s in collection.sides.items() if s == side)
        assert listed(out, side) == expected
        shown = table["split"] == side.replace("excluded", "")
        assert [t.split("/")[1] for t in table["track_id"][shown]] == expected
    assert result.n_new == len(TRACKS)
    assert CORRUPT in summary(result)


def test_files_of_a_folder_are_linked_and_stay_as_they_are(tmp_path, collection):
    source = as_folder(tmp_path / "source", kaggle())
    before = {path: path.stat().st_mtime_ns for path in source.rglob("*")}
    prepare(tmp_path / "out", collection, str(source))
    assert {path: path.stat().st_mtime_ns for path in source.rglob("*")} == before
    track = "Data/genres_original/blues/blues.00000.wav"
    assert (tmp_path / "out/genres/blues/blues.00000.wav").samefile(source / track)


def test_second_run_writes_only_what_is_not_there_or_damaged(tmp_path, collection):
    source, out = as_tar(tmp_path / "a.tar.gz", marsyas()), tmp_path / "out"
    prepare(out, collection, str(source))
    kept, damaged, gone = (out / f"genres/blues/blues.0000{i}.au" for i in range(3))
    before = kept.stat().st_mtime_ns, kept.stat().st_ino
    damaged.write_bytes(damaged.read_bytes()[:-2])
    gone.rename(gone.with_name(f".{gone.name}.0123.partial"))  # as a killed process leaves it
    assert prepare(out, collection, str(source)).n_new == 2
    assert (kept.stat().st_mtime_ns, kept.stat().st_ino) == before
    assert collection.holds("blues.00001", damaged.read_bytes())
    assert prepare(out, collection, str(source)).n_new == 0


def test_a_damaged_link_is_replaced_and_its_file_left_alone(tmp_path, collection):
    source, out = as_folder(tmp_path / "source", marsyas()), tmp_path / "out"
    prepare(out, collection, str(source))
    (source / "genres/rock/rock.00001.au").write_bytes(b"damaged")  # and so is the link
    better = as_folder(tmp_path / "better", marsyas("FLAC"))
    assert prepare(out, collection, str(better)).n_new == 1
    assert (source / "genres/rock/rock.00001.au").read_bytes() == b"damaged"
    assert (out / "genres/rock/rock.00001.flac").exists()
    assert not (out / "genres/rock/rock.00001.au").exists()


def test_wrong_and_missing_tracks_are_named_together(tmp_path, collection):
    files = dict(marsyas("WAV"))
    del files["genres/blues/blues.00000.wav"]
    files["genres/rock/rock.00002.wav"] = sounds.encode(sounds.tone(1.2, 999.0))
    files["genres/rock/rock.00003.wav"] = b"no sound"
    source, out = as_folder(tmp_path / "source", files.items()), tmp_path / "out"
    message = (
        r"3 of the 12 tracks cannot be used, 2 with a wrong checksum: rock\.00002 \(.*\.wav\), "
        r"rock\.00003 \(.*\); 1 missing: blues\.00000\. .*--on-bad-file skip"
    )
    with pytest.raises(DataError, match=message):
        prepare(out, collection, str(source))
    result = prepare(out, collection, str(source), on_bad_file="skip")
    assert result.left_out == ["blues.00000", "rock.00002", "rock.00003"]
    assert len(tracks_in(out)) == 9
    assert "rock.00002" not in listed(out, "test")
    assert "Left out as missing or wrong: blues.00000" in summary(result)
    assert "cannot be trained on: too few tracks" in summary(result)


def test_a_good_copy_makes_up_for_a_wrong_one(tmp_path, collection):
    files = [("a/blues.00000.wav", b"damaged"), *marsyas()]
    result = prepare(tmp_path / "out", collection, str(as_zip(tmp_path / "a.zip", files)))
    assert result.left_out == []


def test_archive_cannot_write_outside(tmp_path, collection):
    source, out = tmp_path / "a.tar.gz", tmp_path / "inner" / "out"
    files = [(f"../../{name.rpartition('/')[2]}", data) for name, data in marsyas()]
    source.write_bytes(tarball(files, link=("x/blues.00000.au", "/etc/passwd")))
    prepare(out, collection, str(source))
    assert sorted(os.listdir(tmp_path)) == [".genre", "a.tar.gz", "inner"]
    assert os.listdir(tmp_path / "inner") == ["out"]


@pytest.mark.parametrize("write", [as_tar, as_zip])
def test_truncated_archive_is_refused_and_what_was_read_stays(tmp_path, collection, write):
    source, out = write(tmp_path / "archive", marsyas("WAV")), tmp_path / "out"
    source.write_bytes(source.read_bytes()[: source.stat().st_size * 2 // 3])
    with pytest.raises(DataError, match="damaged"):
        prepare(out, collection, str(source))
    n_there = len(tracks_in(out))
    result = prepare(out, collection, str(write(source, marsyas("WAV"))))
    assert result.n_new == len(TRACKS) - n_there
    assert (n_there > 0) == (write is as_tar)  # a ZIP's table of contents is at its end


def test_damage_within_an_archive_is_found(tmp_path, collection):
    source = as_zip(tmp_path / "a.zip", marsyas())
    data = bytearray(source.read_bytes())
    data[len(data) // 2] ^= 1
    source.write_bytes(data)
    with pytest.raises(
        DataError, match=r"a\.zip is damaged or truncated, after \d tracks \(Bad CR"
    ):
        prepare(tmp_path / "out", collection, str(source))


def test_a_member_that_unpacks_to_far_too_much_is_a_wrong_track(tmp_path, collection):
    files = [("blues/blues.00000.wav", bytes(50_000_000)), *marsyas()[1:]]
    source = as_tar(tmp_path / "a.tar.gz", files)
    with pytest.raises(DataError, match=r"1 with a wrong checksum: blues\.00000"):
        prepare(tmp_path / "out", collection, str(source))


def test_foreign_files_in_the_output_are_refused_and_left(tmp_path, collection):
    out = as_folder(tmp_path / "out", [("genres/polka/mine.wav", b"mine")])
    source = as_folder(tmp_path / "source", marsyas())
    with pytest.raises(DataError, match=r"mine\.wav is no track that this command has written"):
        prepare(out, collection, str(source))
    assert (out / "genres/polka/mine.wav").read_bytes() == b"mine"


def test_a_source_is_not_its_own_output(tmp_path, collection):
    source = as_folder(tmp_path / "music", marsyas())
    for path in (source, source / "genres", source / "genres" / "blues"):
        with pytest.raises(DataError, match="give another folder to write to"):
            prepare(source, collection, str(path))
    assert not (source / "split").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["out"], "neither of --source and --download given; one is needed"),
        (["out", "--source", "full", "--download"], "both of --source and --download given"),
        (["out", "--source", "nowhere"], "nowhere does not exist; give the folder or archive"),
        (["out", "--source", "empty"], r"empty holds no recording of the .* blues\.00000\.wav"),
        (["out", "--source", "a.zip"], r"a\.zip is no folder and no \.zip or \.tar\.gz archive"),
        (["a.zip", "--source", "full"], r"a\.zip is no folder; give one that is new"),
        (["out", "--source", "full"], r"999 of the 999 tracks cannot be used, 13 with a wrong"),
    ],
)  # fmt: skip
def test_mistake_is_one_line_with_exit_code_2(tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    as_folder(tmp_path / "full", marsyas())
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.zip").write_bytes(b"no archive")
    result = run(*words)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    with pytest.raises((DataError, SettingsError), match=message):
        raise DataError(result.stderr)


def printed_command(tmp_path: Path, collection: Collection) -> list[str]:
    source = as_tar(tmp_path / "a.tar.gz", marsyas())
    last = summary(prepare(tmp_path / "out put", collection, str(source))).splitlines()[-1]
    words = shlex.split(last)
    assert words[:4] == ["Next:", "genre-mlflow", "train", "--data"]
    return words[4:]


def test_printed_command_gives_training_the_filtered_split(tmp_path, collection):
    words = printed_command(tmp_path, collection)
    done = CliRunner().invoke(main, ["corpus", "scan", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert re.search(r"all +3 +3 +3", done.output)


@pytest.mark.slow
def test_printed_command_trains(tmp_path, collection):
    from support import store_in

    words = printed_command(tmp_path, collection)
    small = ["--image-size=32", "--image-width=32", "--widths=4,8", "--head-width=8", "--epochs=1"]
    with store_in(tmp_path):
        done = CliRunner().invoke(main, ["train", "--data", *words, *small], catch_exceptions=False)
    assert done.exit_code == 0, done.output


def test_canonical_wav_is_the_same_for_every_lossless_form():
    samples = sounds.tone(1.0)
    wav = sounds.encode(samples)
    assert len(wav) == 44 + 2 * len(samples)
    for kind, subtype in (("WAV", "PCM_16"), ("AU", "PCM_16"), ("FLAC", "PCM_16"), ("AIFF", "")):
        assert canonical_wav(sounds.encode(samples, kind, subtype)) == wav
    assert canonical_wav(wav + b"LIST\4\0\0\0INFO") == wav
    assert canonical_wav(b"no sound") is None
    assert canonical_wav(sounds.encode(samples.reshape(-1, 2))) is None


def test_real_recordings_have_the_checksums_of_the_table(real_data, tmp_path):
    source = real_data / "gtzan-audio"
    out = tmp_path / "out"
    result = run(str(out), "--source", str(source))
    assert result.exit_code == 2
    assert "985 of the 999 tracks cannot be used, 985 missing: blues.00003" in result.stderr
    result = run(str(out), "--source", str(source), "--on-bad-file", "skip")
    assert result.exit_code == 0, result.output
    assert "14 tracks of 10 genres" in result.output
    assert len(listed(out, "val")) == 9
    assert not (out / "manifest.csv").read_text().count("jazz.00054")


def test_real_split_is_that_of_the_lists(real_data):
    for name in ("train", "val", "test", "excluded"):
        ids = (real_data / "splits" / "gtzan-filtered" / f"{name}.txt").read_text().split()
        ours = {track for track, side in gtzan().sides.items() if side == name}
        assert set(ids) - {"jazz.00054"} == ours
