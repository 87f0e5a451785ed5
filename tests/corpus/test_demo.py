"""The demo corpus: the same pixels every time, and never half of them."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genre_mlflow.corpus.demo import images as demo_images
from genre_mlflow.corpus.demo.genres import MODES, RECIPES
from genre_mlflow.corpus.demo.images import (
    GENRES,
    DemoSettings,
    demo_folder,
    make_demo,
    synthesise,
)
from genre_mlflow.errors import DataError, SettingsError

SMALL = DemoSettings(tracks_per_genre=2, duration_s=1.0)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_folder_may_have_any_name_that_is_taken(tmp_path):
    few = DemoSettings(tracks_per_genre=1, duration_s=1.0)
    assert (make_demo(tmp_path / ("n" * 255), few) / "demo.json").exists()


def test_corpus_is_an_image_folder_of_ten_genres(tmp_path):
    folder = make_demo(tmp_path / "demo", SMALL)
    assert folder == tmp_path / "demo"
    images = [f"{genre}/{genre}.0000{track}.png" for genre in GENRES for track in range(2)]
    assert len(GENRES) == 10
    assert list(contents(folder)) == sorted([*images, "demo.json"])
    with Image.open(folder / images[0]) as image:
        assert image.size == (387, 385)
        assert image.mode == "P"


def test_pixels_do_not_depend_on_the_number_of_workers(tmp_path):
    one = make_demo(tmp_path / "one", SMALL, workers=1)
    four = make_demo(tmp_path / "four", SMALL, workers=4)
    assert contents(one) == contents(four)


def test_tracks_do_not_depend_on_how_many_there_are(tmp_path):
    few = contents(make_demo(tmp_path / "few", DemoSettings(1, 1.0)))
    many = contents(make_demo(tmp_path / "many", SMALL))
    few.pop("demo.json")
    assert few.items() < many.items()


def test_another_seed_gives_another_corpus(tmp_path):
    ours = contents(make_demo(tmp_path / "a", SMALL))
    theirs = contents(make_demo(tmp_path / "b", DemoSettings(2, 1.0, seed=1)))
    assert all(ours[name] != theirs[name] for name in ours)


def test_no_two_tracks_are_alike(tmp_path):
    images = contents(make_demo(tmp_path / "demo", SMALL))
    assert len(set(images.values())) == len(images)


def test_corpus_that_is_there_is_left_alone(tmp_path):
    folder = make_demo(tmp_path / "demo", SMALL)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert make_demo(folder, SMALL) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_an_empty_folder_is_filled(tmp_path):
    assert (make_demo(tmp_path, SMALL) / "demo.json").is_file()


def test_interrupted_making_leaves_nothing(tmp_path, monkeypatch):
    made = []

    def interrupted(*arguments):
        made.append(arguments)
        if len(made) == 5:
            raise KeyboardInterrupt
        return synthesise(*arguments)

    monkeypatch.setattr(demo_images, "synthesise", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_demo(tmp_path / "demo", SMALL, workers=1)
    assert list(tmp_path.iterdir()) == []


def test_corpus_appears_only_when_it_is_complete(tmp_path, monkeypatch):
    folder = tmp_path / "demo"
    seen = []

    def watched(*arguments):
        seen.append(folder.exists())
        return synthesise(*arguments)

    monkeypatch.setattr(demo_images, "synthesise", watched)
    make_demo(folder, SMALL)
    assert seen == [False] * 20


@pytest.mark.slow
def test_two_processes_make_it_at_once(tmp_path):
    script = tmp_path / "caller.py"  # no `if __name__`, as a user's script may have none
    script.write_text(
        "import sys\nfrom pathlib import Path\n"
        "from genre_mlflow.corpus.demo.images import DemoSettings, make_demo\n"
        "print('ready', flush=True)\nsys.stdin.readline()\n"
        "print(make_demo(Path(sys.argv[1]), DemoSettings(2, 1.0), workers=2))\n"
    )
    folder = tmp_path / "corpora" / "demo"
    callers = [
        subprocess.Popen(
            [sys.executable, str(script), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for caller in callers:
        assert caller.stdout.readline() == "ready\n"
    for caller in callers:
        caller.stdin.write("go\n")
        caller.stdin.flush()
    for caller in callers:
        assert caller.communicate(timeout=60)[0] == f"{folder}\n"
        assert caller.returncode == 0
    assert list(folder.parent.iterdir()) == [folder]
    assert contents(folder) == contents(make_demo(tmp_path / "alone", SMALL))


def test_the_slower_of_two_keeps_the_others_corpus(tmp_path, monkeypatch):
    folder = tmp_path / "demo"
    write_corpus = demo_images._write_corpus

    def overtaken(temporary, settings, workers):
        write_corpus(temporary, settings, workers)
        write_corpus_of_other = tmp_path / "other"
        write_corpus_of_other.mkdir()
        write_corpus(write_corpus_of_other, settings, workers)
        write_corpus_of_other.rename(folder)

    monkeypatch.setattr(demo_images, "_write_corpus", overtaken)
    assert make_demo(folder, SMALL) == folder
    assert list(tmp_path.iterdir()) == [folder]


def test_what_is_no_demo_corpus_is_not_touched(tmp_path):
    (tmp_path / "song.wav").write_text("mine")
    with pytest.raises(DataError, match="is no demo corpus; give another folder"):
        make_demo(tmp_path, SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["song.wav"]


def test_corpus_of_other_settings_is_refused(tmp_path):
    make_demo(tmp_path / "demo", SMALL)
    with pytest.raises(DataError, match=r"'seed': 0.* not with .*'seed': 5"):
        make_demo(tmp_path / "demo", DemoSettings(2, 1.0, seed=5))


def test_each_kind_of_demo_has_a_folder_of_its_own(tmp_path, monkeypatch):
    version = demo_images.RECIPES_VERSION
    default = demo_folder(tmp_path)
    assert re.fullmatch(rf"demo-{version}-[0-9a-f]{{8}}", default.name)
    assert default == demo_folder(tmp_path, DemoSettings()) == tmp_path / default.name
    small = make_demo(demo_folder(tmp_path, SMALL), SMALL)
    monkeypatch.setattr(demo_images, "RECIPES_VERSION", version + 1)
    newer = make_demo(demo_folder(tmp_path, SMALL), SMALL)
    assert newer.name.startswith(f"demo-{version + 1}-")
    assert len({default, small, newer}) == 3


def test_corpus_with_a_missing_image_is_refused(tmp_path):
    folder = make_demo(tmp_path / "demo", SMALL)
    (folder / "waltz" / "waltz.00001.png").unlink()
    with pytest.raises(DataError, match=r"lacks waltz/waltz\.00001\.png; .* delete this one"):
        make_demo(folder, SMALL)


@pytest.mark.parametrize("genre", GENRES)
def test_a_track_is_sound_within_full_scale(genre):
    samples = synthesise(genre, 3, DemoSettings(duration_s=2.0))
    assert samples.dtype == np.float32
    assert samples.shape == (44_100,)
    assert 0.1 < np.abs(samples).max() <= 1
    np.testing.assert_array_equal(samples, synthesise(genre, 3, DemoSettings(duration_s=2.0)))


@pytest.mark.parametrize(
    ("genre", "track", "message"),
    [("polka", 0, "genre is 'polka'; allowed: ambient, "), ("waltz", -1, "track is -1; allowed")],
)
def test_unknown_tracks_are_refused(genre, track, message):
    with pytest.raises(SettingsError, match=message):
        synthesise(genre, track, SMALL)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tracks_per_genre": 0}, "tracks_per_genre is 0; allowed: 1 to 100000"),
        ({"duration_s": 0.5}, "duration_s is 0.5; allowed: 1 to 60"),
        ({"duration_s": float("nan")}, "duration_s is nan"),
        ({"seed": -1}, "seed is -1; allowed: 0 or more"),
    ],
)
def test_settings_out_of_range_are_refused(values, message):
    with pytest.raises(SettingsError, match=message):
        DemoSettings(**values)


@pytest.mark.parametrize("genre", GENRES)
def test_recipes_are_well_formed(genre):
    recipe = RECIPES[genre]
    parts = (recipe.bass, recipe.chords, recipe.lead)
    patterns = {recipe.kick, recipe.snare, recipe.hat, *(part.pattern for part in parts)}
    assert len({len(pattern) for pattern in patterns}) == 1
    assert set("".join(patterns)) <= set(".123456789X")
    assert set(recipe.modes) <= set(MODES)
    ranges = [recipe.tempo_bpm, recipe.swing, recipe.drive, recipe.drums_db, recipe.noise_db]
    for part in parts:
        assert part.register_midi[1] - part.register_midi[0] >= 12  # an octave to play in
        ranges += [part.level_db, part.attack_s, part.decay_s, part.brightness_hz, part.hollow]
    assert all(low < high for low, high in ranges)
