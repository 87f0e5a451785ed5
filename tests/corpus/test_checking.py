"""A recording is found again in another form, and other music is not."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from melodies import melody
from sounds import RATE, encode

from genre_mlflow.corpus.checking import Checked, check_corpus
from genre_mlflow.corpus.pair_tables import write_tables
from genre_mlflow.corpus.rendering import render_folder
from genre_mlflow.corpus.settings import CorpusSettings, SplitSettings
from genre_mlflow.errors import DataError
from genre_mlflow.features.settings import PreprocessingSettings

DRAWING = PreprocessingSettings()
PIXEL_COPIES = [
    ("disco", 98, "disco", 99), ("hiphop", 39, "hiphop", 45), ("hiphop", 76, "hiphop", 78),
    ("metal", 34, "metal", 94), ("metal", 40, "metal", 61), ("metal", 41, "metal", 62),
    ("metal", 42, "metal", 63), ("metal", 43, "metal", 64), ("metal", 44, "metal", 65),
    ("metal", 45, "metal", 66), ("metal", 58, "rock", 16), ("pop", 54, "pop", 60),
    ("pop", 67, "pop", 71), ("reggae", 81, "reggae", 82),
]  # fmt: skip


def check(folder: Path, confirmed: str = "", **dealing: str) -> Checked:
    settings = CorpusSettings(str(folder))
    return check_corpus(settings, SplitSettings(**dealing), DRAWING, confirmed)


def found(checked: Checked) -> dict[tuple[str, str], str]:
    return {(pair.one, pair.other): pair.kind for pair in checked.pairs}


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Melodies of 30 s, and the first of them in every other form, as an image, too."""
    folder = tmp_path_factory.mktemp("melodies") / "music"
    whole = melody(34, seed=0)
    one = whole[: 30 * RATE]
    later = whole[2 * RATE : 32 * RATE]
    files = {
        "folk/melody.wav": encode(one),
        "folk/copy.flac": encode(one, "FLAC"),
        "folk/encoded.ogg": encode(one, "OGG", "VORBIS"),
        "folk/soft.wav": encode(one / 2),
        "pop/later.wav": encode(later),
        "folk/a-longer.wav": encode(
            np.concatenate([melody(57, seed=9), whole, melody(20, seed=8)])
        ),
        **{f"pop/other{seed}.wav": encode(melody(30, seed)) for seed in range(1, 6)},
    }
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    render_folder(folder, folder.parent / "images", DRAWING)
    (folder.parent / "images/folk/melody.png").rename(folder / "pop/image.png")
    return folder


@pytest.fixture(scope="module")
def checked(music: Path) -> Checked:
    """The pairs among the melodies."""
    return check(music)


@pytest.mark.parametrize(
    ("name", "kind", "shift_s"),
    [
        ("folk/encoded", "near", 0.0),
        ("folk/soft", "near", 0.0),
        ("pop/later", "near", 2.0),
        ("pop/image", "near", 0.0),
        ("folk/a-longer", "near", -57.0),
    ],
)
def test_a_recording_is_found_in_another_form(
    checked: Checked, name: str, kind: str, shift_s: float
) -> None:
    (pair,) = [p for p in checked.pairs if p.names == {"folk/melody", name}]
    assert pair.kind == kind
    assert pair.in_seconds
    sign = 1 if pair.one == "folk/melody" else -1
    assert sign * pair.shift == pytest.approx(shift_s, abs=0.15)


def test_equal_samples_are_a_copy(checked: Checked) -> None:
    assert found(checked)["folk/copy", "folk/melody"] == "copy"


def test_different_melodies_are_no_pair(checked: Checked) -> None:
    assert not [pair for pair in checked.pairs if any("other" in name for name in pair.names)]


def test_all_forms_are_one_recording_in_the_table(checked: Checked, tmp_path: Path) -> None:
    write_tables(checked.pairs, checked.manifest, tmp_path / "groups.csv")
    table = pd.read_csv(tmp_path / "groups.csv")
    forms = ["folk/a-longer", "folk/copy", "folk/encoded", "folk/melody", "folk/soft"]
    forms += ["pop/image", "pop/later"]
    assert sorted(table["track_id"]) == forms
    assert set(table["recording"]) == {"folk/a-longer"}


def test_pairs_of_two_genres_are_counted(checked: Checked) -> None:
    two = sum(pair.has_two_genres for pair in checked.pairs)
    assert two == 5 * 2
    assert f"\n{two} of them have two genres" in checked.summary


def test_a_corpus_of_one_genre_is_checked(tmp_path: Path) -> None:
    (tmp_path / "music/folk").mkdir(parents=True)
    for name, seed in (("a", 0), ("b", 1), ("c", 0)):
        (tmp_path / f"music/folk/{name}.wav").write_bytes(encode(melody(10, seed)))
    assert found(check(tmp_path / "music")) == {("folk/a", "folk/c"): "copy"}


def test_nothing_is_found_in_noise(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for genre, name in itertools.product(("white", "soft"), "abcd"):
        (tmp_path / "music" / genre).mkdir(parents=True, exist_ok=True)
        noise = (0.1 * rng.standard_normal(12 * RATE)).astype(np.float32)
        (tmp_path / f"music/{genre}/{name}.wav").write_bytes(encode(noise))
    checked = check(tmp_path / "music")
    assert checked.pairs == []
    assert checked.summary == "No pair of tracks is alike"


def test_segments_drawn_as_images_of_their_own_are_one_recording(
    music: Path, tmp_path: Path
) -> None:
    (tmp_path / "sound/folk").mkdir(parents=True)
    for name in ("folk/melody.wav", "folk/a-longer.wav"):
        (tmp_path / "sound/folk" / Path(name).name).write_bytes((music / name).read_bytes())
    render_folder(tmp_path / "sound", tmp_path / "images", DRAWING)
    assert (tmp_path / "images/folk/a-longer.seg000.png").is_file()
    images = check(tmp_path / "images")
    assert found(images) == {("folk/a-longer", "folk/melody"): "near"}
    assert not images.pairs[0].in_seconds
    write_tables(images.pairs, images.manifest, tmp_path / "groups.csv")
    assert len(pd.read_csv(tmp_path / "groups.csv")) == len(images.manifest)


def test_a_bad_file_is_named_as_a_scan_names_it(tmp_path: Path) -> None:
    (tmp_path / "music/folk").mkdir(parents=True)
    (tmp_path / "music/folk/a.wav").write_bytes(encode(melody(10, 0)))
    (tmp_path / "music/folk/b.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"1 file below .* cannot be used(.|\n)*folk/b.wav"):
        check(tmp_path / "music")
    settings = CorpusSettings(str(tmp_path / "music"), "skip")
    skipped = check_corpus(settings, SplitSettings(), DRAWING)
    assert [file.path.name for file in skipped.bad_files] == ["b.wav"]


@pytest.fixture(scope="module")
def real(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Checked:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENRE_HOME", str(tmp_path_factory.mktemp("home")))
        return check(
            real_data / "gtzan-mel",
            groups=str(real_data / "groups/gtzan-groups.csv"),
            split_dir=str(real_data / "splits/gtzan-filtered"),
            on_missing="skip",
        )


@pytest.mark.slow
def test_all_known_copies_of_the_gtzan_are_found(real: Checked) -> None:
    known = {(f"{a}/{a}.{i:05d}", f"{b}/{b}.{j:05d}") for a, i, b, j in PIXEL_COPIES}
    assert {names for names, kind in found(real).items() if kind == "copy"} == known


@pytest.mark.slow
def test_no_pair_of_the_gtzan_joins_two_recordings(real: Checked) -> None:
    near = [pair for pair in real.pairs if pair.kind == "near"]
    assert len(near) > 40
    assert {pair.known for pair in near} == {"known as one recording"}
    assert not any(pair.has_two_sides for pair in real.pairs)


@pytest.mark.slow
def test_a_recording_of_the_gtzan_meets_its_own_image(real_data: Path, tmp_path: Path) -> None:
    music = tmp_path / "music"
    for kind in ("audio", "mel"):
        for path in sorted((real_data / "gtzan-audio").rglob("*.flac")):
            image = real_data / "gtzan-mel" / path.parent.name / f"{path.stem}.png"
            source = path if kind == "audio" else image
            (music / kind).mkdir(parents=True, exist_ok=True)
            (music / kind / source.name).symlink_to(source.absolute())
    pairs = check(music).pairs
    assert len(pairs) == 14
    assert all(p.kind == "near" and p.score > 0.99 and abs(p.shift) < 0.1 for p in pairs)


Write = Callable[[str], str]


@pytest.fixture
def verdicts(tmp_path: Path) -> Write:
    """Writes a table of judged pairs, and gives its name."""

    def write(text: str) -> str:
        (tmp_path / "judged.csv").write_text(text)
        return str(tmp_path / "judged.csv")

    return write


def test_verdicts_join_and_part_pairs(music: Path, checked: Checked, verdicts: Write) -> None:
    judged = verdicts(
        "one,other,same\nfolk/melody,pop/later,no\npop/other2,pop/other1, Yes\n"
        "pop/other3,pop/other1,\nfolk/copy,folk/melody,yes\npop/other4,pop/other5,no\n"
    )
    kinds = found(check(music, judged))
    assert kinds["folk/melody", "pop/later"] == "apart"
    assert kinds["pop/other1", "pop/other2"] == "confirmed"
    assert kinds["folk/copy", "folk/melody"] == "copy"
    assert kinds["pop/other4", "pop/other5"] == "apart"
    assert len(kinds) == len(checked.pairs) + 2
