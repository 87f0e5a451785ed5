"""Drawing a folder: the images serve as the recordings do, and a run that is stopped goes on."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from filelock import FileLock
from PIL import Image
from sounds import RATE, encode, tone

from genre_mlflow.cli.main import main
from genre_mlflow.corpus import rendering
from genre_mlflow.corpus.rendering import LOCK_FILE, SETTINGS_FILE, render_folder
from genre_mlflow.corpus.scan import scan
from genre_mlflow.errors import DataError
from genre_mlflow.features.preprocessing import Preprocessor
from genre_mlflow.features.settings import DRAWN, PreprocessingSettings
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.networks.vgg import VGG

SECOND = PreprocessingSettings(segment_s=1.0)  # a recording of 2.2 s has two segments


def render(*words: object) -> Result:
    arguments = ["corpus", "render", *map(str, words)]
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def names(folder: Path) -> list[str]:
    """Files below, with forward slashes, hidden ones left out."""
    paths = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return sorted(path.as_posix() for path in paths if not path.name.startswith("."))


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """Two genres; one recording of several segments, and one deeper down."""
    folder = tmp_path / "music"
    for place, seconds, hz in (("jazz/a.wav", 1.0, 440), ("jazz/b.flac", 2.2, 660),
                               ("rock/live/1999/c.d.ogg", 1.3, 990)):  # fmt: skip
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(tone(seconds, hz), {"wav": "WAV", "flac": "FLAC"}.get(
            path.suffix[1:], "OGG")))  # fmt: skip
    return folder


@pytest.mark.parametrize(
    ("features", "loudness"),
    [
        ("mel", "as-is"), ("mel", "normalised"), ("mfcc", "as-is"),
        pytest.param("chroma", "as-is", marks=pytest.mark.slow),  # librosa compiles, 30 s
    ],
)  # fmt: skip
def test_the_model_answers_the_same_for_image_and_recording(tmp_path, music, features, loudness):
    settings = PreprocessingSettings(features=features, loudness=loudness, image_size=64)
    render_folder(music, tmp_path / "images", settings)
    torch.manual_seed(0)
    classifier = Classifier(["jazz", "rock"], VGG(widths=(4, 8), head_width=8), settings)
    for name in ("jazz/a", "jazz/b", "rock/live/1999/c.d"):
        (recording,) = music.glob(f"{name}.*")
        image = tmp_path / "images" / f"{name}.png"
        assert torch.equal(Preprocessor(settings)(image), Preprocessor(settings)(recording))
        drawn, heard = classifier.predict(image), classifier.predict(recording)
        assert drawn.probabilities == heard.probabilities


@pytest.mark.parametrize(
    "features",
    [pytest.param(f, marks=pytest.mark.slow if f == "chroma" else ()) for f in DRAWN],  # compiles
)
def test_each_segment_has_a_file_of_its_own(tmp_path, music, features):
    settings = PreprocessingSettings(segment_s=1.0, hop_s=0.5, features=features)
    found = render_folder(music, tmp_path / "images", settings)
    files = sorted((tmp_path / "images").rglob("b.seg*.png"))
    assert [file.name for file in files] == [f"b.seg{n:03d}.png" for n in range(3)]
    assert found.drawn == 3 and found.images == len(names(tmp_path / "images"))
    from_images = torch.cat([Preprocessor(settings)(file) for file in files])
    assert torch.equal(from_images, Preprocessor(settings)(music / "jazz" / "b.flac"))


def test_images_mirror_the_tree_in_palette_mode(tmp_path, music):
    render_folder(music, tmp_path / "images", PreprocessingSettings())
    assert names(tmp_path / "images") == ["jazz/a.png", "jazz/b.png", "rock/live/1999/c.d.png"]
    with Image.open(tmp_path / "images" / "jazz" / "a.png") as image:
        assert (image.mode, image.size) == ("P", (387, 385))


def test_segments_are_scanned_as_one_group_a_recording(tmp_path, music):
    render_folder(music, tmp_path / "images", SECOND)
    manifest = scan(tmp_path / "images").manifest
    assert len(manifest) == 4
    assert manifest["group"].nunique() == 3


def test_real_recordings_are_drawn_as_the_collection_has_them(tmp_path, real_data):
    (tmp_path / "audio").symlink_to(real_data / "gtzan-audio" / "blues")
    render_folder(tmp_path / "audio", tmp_path / "images", PreprocessingSettings())
    for n in range(3):
        with (
            Image.open(tmp_path / "images" / f"blues.{n:05d}.png") as ours,
            Image.open(real_data / "gtzan-mel" / "blues" / f"blues.{n:05d}.png") as theirs,
        ):
            moved = np.asarray(ours.convert("RGB")) != np.asarray(theirs.convert("RGB"))
        assert np.count_nonzero(moved.any(axis=2)) <= 6  # of 148,995: rounding, by one colour


def test_what_is_drawn_is_passed_over(tmp_path, music):
    first = render(music, tmp_path / "images", "--segment-s", "1")
    assert first.exit_code == 0
    assert "3 recordings drawn as 4 images\n" in first.output
    assert f"genre-mlflow train --data {tmp_path}/images --segment-s 1\n" in first.output
    (tmp_path / "images" / "jazz" / "a.png").unlink()
    before = (tmp_path / "images" / "jazz" / "b.seg000.png").stat()
    again = render(music, tmp_path / "images", "--segment-s", "1")
    assert "1 recording drawn as 1 image; 2 had been drawn before\n" in again.output
    assert (tmp_path / "images" / "jazz" / "b.seg000.png").stat() == before


def test_a_recording_whose_first_segment_is_missing_is_drawn_again(tmp_path, music, monkeypatch):
    saved = []

    def save(image, path, really=rendering.save):
        saved.append(path.name)
        really(image, path)
        if path.name == "b.seg001.png" and saved.count(path.name) == 1:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(rendering, "save", save)
    with pytest.raises(OSError, match="No space left"):
        render_folder(music, tmp_path / "images", SECOND, workers=1)
    assert "jazz/b.seg000.png" not in names(tmp_path / "images")
    render_folder(music, tmp_path / "images", SECOND)
    assert saved.index("b.seg000.png") > saved.index("b.seg001.png")
    assert {"jazz/b.seg000.png", "jazz/b.seg001.png"} <= set(names(tmp_path / "images"))


def test_broken_files_have_a_line_each_and_the_rest_is_drawn(tmp_path, music):
    whole = (music / "jazz" / "a.wav").read_bytes()
    (music / "jazz" / "cut.wav").write_bytes(whole[:20_000])
    (music / "jazz" / "silent.wav").write_bytes(encode(0 * tone(2.0)))
    (music / "rock" / "notes.txt").write_text("drums are loud")
    Image.new("RGB", (20, 20), "red").save(music / "rock" / "cover.png")
    result = render(music, tmp_path / "images")
    assert result.exit_code == 2
    assert re.search(r"cut\.wav is truncated: 20,000 bytes of the ", result.output)
    assert re.search(r"silent\.wav is silent throughout", result.output)
    assert re.search(r"notes\.txt is neither a PNG ", result.output)
    assert ("3 recordings drawn as 3 images; 1 image among them left out; 3 files broken\n"
            in result.output)  # fmt: skip
    assert len(names(tmp_path / "images")) == 3
    again = render(music, tmp_path / "images")
    assert again.exit_code == 2
    assert "0 recordings drawn as 0 images; 3 had been drawn before; 1 image among" in again.output


def test_files_out_of_reach_are_broken(tmp_path, music):
    (music / "jazz" / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    (music / "jazz" / os.fsdecode(b"caf\xe9.wav")).write_bytes(encode(tone(1.0)))
    result = render(music, tmp_path / "images")
    assert result.exit_code == 2
    assert "gone.wav cannot be read: No such file or directory\n" in result.output
    assert r"caf\xe9.wav has a name, or lies in a folder, that is not UTF-8" in result.output
    assert "2 files broken\n" in result.output


@pytest.mark.parametrize(
    ("bare", "ending", "seconds", "image"),
    [
        ("n" * 236, ".wav", 1.0, ".png"),
        ("n" * 251, ".wav", 1.0, ".png"),
        ("\u65e5" * 83 + "nn", ".wav", 1.0, ".png"),  # 251 bytes
        ("n" * 244, ".wav", 2.2, ".seg000.png"),
    ],
)
def test_a_recording_is_drawn_when_the_name_of_its_image_fits(
    tmp_path, music, bare, ending, seconds, image
):
    (music / "jazz" / f"{bare}{ending}").write_bytes(encode(tone(seconds)))
    for _ in range(2):  # it is found again, too
        found = render_folder(music, tmp_path / "images", SECOND)
        assert found.bad_files == []
        assert (tmp_path / "images" / "jazz" / f"{bare}{image}").exists()
    assert found.drawn == 0


@pytest.mark.parametrize(
    ("name", "seconds", "n_bytes"),
    [
        ("n" * 252, 1.0, 256), ("\u65e5" * 84, 1.0, 256),
        (f"{'n' * 245}.wav", 2.2, 256),
    ],
)  # fmt: skip
def test_a_recording_whose_image_has_no_name_is_one_line_and_the_rest_is_drawn(
    tmp_path, music, name, seconds, n_bytes
):
    (music / "jazz" / name).write_bytes(encode(tone(seconds)))
    result = render(music, tmp_path / "images", "--segment-s", 1)
    assert result.exit_code == 2
    line = f"cannot be drawn: its image would have a name of {n_bytes} bytes, which is too long"
    assert result.output.count("\n") == 3 and line in result.output
    assert "3 recordings drawn as 4 images; 1 file broken\n" in result.output
    assert len(names(tmp_path / "images")) == 4


def test_no_image_is_left_of_a_recording_whose_last_segments_have_no_name(
    tmp_path, music, monkeypatch
):
    named = rendering.named  # numbers of more digits from the second on, as from the thousandth

    def longer(target, segment=None):
        path = named(target, segment)
        return path.with_stem(path.stem + "0") if segment and segment > 1 else path

    monkeypatch.setattr(rendering, "named", longer)
    bare = "n" * 244
    (music / "jazz" / f"{bare}.wav").write_bytes(encode(tone(3.2)))
    found = render_folder(music, tmp_path / "images", SECOND)
    assert [file.path.stem for file in found.bad_files] == [bare]
    assert [name for name in names(tmp_path / "images") if "nnn" in name] == []


@pytest.mark.parametrize(
    ("audio", "images", "message"),
    [
        ("nowhere", "out", r"nowhere is no folder; give one with recordings$"),
        ("music/jazz/a.wav", "out", r"a\.wav is no folder"),
        ("empty", "out", r"empty holds no recordings; known are WAV, AIFF, AU, .*, Musepack$"),
        ("pictures", "out", r"pictures holds no recordings"),
        ("music", "music", r"lies within it; give a folder for the images beside it$"),
        ("music", "music/images", r"lies within it"),
        ("music", "link/images", r"lies within it"),
        ("music", "music/jazz/a.wav", r"a\.wav is a file; give a folder for the images$"),
        ("music", "pictures", r"holds files that were not drawn here; give a new or an empty"),
        ("music", ".", r"holds files that were not drawn here"),
    ],
)
def test_folders_that_do_not_fit_are_one_line(tmp_path, music, monkeypatch, audio, images, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (9, 9), "red").save(tmp_path / "pictures" / "red.png")
    (tmp_path / "link").symlink_to(music)
    monkeypatch.chdir(tmp_path)
    before = names(tmp_path)
    result = render(audio, images)
    assert result.exit_code == 2
    assert re.search(rf"^Error: .*{message}", result.stderr), result.stderr
    assert result.stderr.count("\n") == 1 and names(tmp_path) == before
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("other", ["jazz/a.mp3", "jazz/a.seg001.wav"])
def test_recordings_that_would_share_an_image_are_refused(tmp_path, music, other):
    (music / other).write_bytes(encode(tone(1.0)))
    with pytest.raises(DataError, match=r"^1 recording would give the images of others, .*'jazz"):
        render_folder(music, tmp_path / "images", SECOND)


def test_other_settings_for_the_same_images_are_refused(tmp_path, music):
    render_folder(music, tmp_path / "images", PreprocessingSettings(image_size=32, image_width=32))
    render_folder(music, tmp_path / "images", PreprocessingSettings(image_size=64))
    result = render(music, tmp_path / "images", "--n-mels", "64", "--features", "mfcc")
    assert result.exit_code == 2
    message = (
        r"images was drawn with features mel \(now mfcc\), n_mels 128 \(now 64\); give the same"
    )
    assert re.search(message, result.stderr)
    (tmp_path / "images" / SETTINGS_FILE).write_text("{")
    with pytest.raises(DataError, match=r"\.render\.json is damaged; draw to another folder$"):
        render_folder(music, tmp_path / "images", PreprocessingSettings())


def test_settings_out_of_range_are_one_line(tmp_path, music):
    result = render(music, tmp_path / "images", "--segment-s", "0")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert not (tmp_path / "images").exists()


def test_two_processes_do_not_draw_to_one_folder(tmp_path, music):
    (tmp_path / "images").mkdir()
    with (
        FileLock(tmp_path / "images" / LOCK_FILE),
        pytest.raises(DataError, match=r"another process is drawing to .*images; wait until it"),
    ):
        render_folder(music, tmp_path / "images", SECOND)


def test_progress_counts_every_file(tmp_path, music):
    seen = []
    render_folder(music, tmp_path / "images", SECOND,
                  progress=lambda done, total: seen.append((done, total)))  # fmt: skip
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_where_it_was(tmp_path):
    music = tmp_path / "music"
    for genre, hz in (("jazz", 440), ("rock", 880)):
        (music / genre).mkdir(parents=True)
        for n in range(40):
            sound = tone(20.0, hz + 10 * n, seed=n)
            (music / genre / f"{n}.wav").write_bytes(encode(sound[: 20 * RATE]))
    words = ["corpus", "render", str(music), str(tmp_path / "images"), "--segment-s", "2"]
    command = [sys.executable, "-m", "genre_mlflow", *words]
    for wanted in (30, 200):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while len(names(tmp_path / "images")) < wanted and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    left = names(tmp_path / "images")
    assert 200 <= len(left) < 800
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    render_folder(music, tmp_path / "whole", PreprocessingSettings(segment_s=2.0))
    assert names(tmp_path / "images") == names(tmp_path / "whole")
    assert len(names(tmp_path / "images")) == 800
    for name in names(tmp_path / "whole"):
        assert (tmp_path / "images" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not list((tmp_path / "images").rglob("*.partial"))
    assert json.loads((tmp_path / "images" / SETTINGS_FILE).read_text())["segment_s"] == 2.0
