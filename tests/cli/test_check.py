"""`corpus check` says what is one recording, writes it for a split, and draws what is doubtful."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from melodies import melody
from PIL import Image
from sounds import RATE, encode
from support import assert_mistake

from genre_mlflow.cli.main import main
from genre_mlflow.corpus.groups import groups_from
from genre_mlflow.corpus.pairs import DOUBTFUL
from genre_mlflow.features.preprocessing import Preprocessor
from genre_mlflow.features.settings import PreprocessingSettings

LINE = "folk/melody\tpop/later\tnear\t"


def run(*words: object) -> Result:
    arguments = ["corpus", "check", *map(str, words)]
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three melodies of 30 s; one again 2 s later, and once more where half is another melody."""
    folder = tmp_path_factory.mktemp("check") / "music"
    whole, other = melody(34, seed=0), melody(30, seed=1)
    mixed = np.concatenate([whole[12 * RATE : 21 * RATE], melody(21, seed=7)])
    files = {
        "folk/melody": whole[: 30 * RATE],
        "pop/later": whole[2 * RATE : 32 * RATE],
        "pop/mixed": mixed,
        "pop/other": other,
        "folk/third": melody(30, seed=2),
    }
    for name, sound in files.items():
        path = folder / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(sound))
    return folder


def test_a_line_for_each_pair_then_the_counts(music: Path) -> None:
    result = run(music)
    assert result.exit_code == 0
    lines = result.output.splitlines()
    (near,) = [line for line in lines if line.startswith(LINE)]
    assert near.endswith("\t+2.0 s")
    assert lines[-2].startswith("3 pairs: 1 near, 2 doubtful")
    assert lines[-1] == "2 of them have two genres"


def test_sides_of_a_split_are_counted(music: Path, tmp_path: Path) -> None:
    lists = {"train": "melody\nthird\n", "val": "other\n", "test": "later\n"}
    for name, ids in lists.items():
        (tmp_path / f"{name}.txt").write_text(ids)
    result = run(music, "--split-dir", tmp_path)
    assert result.output.splitlines()[-1] == "1 of them are on two sides of the split: 1 near"


@pytest.mark.parametrize(
    ("column", "later", "known"),
    [
        ("recording", "one", "known as one recording"),
        ("artist", "one", "known as one artist"),
        ("recording", "two", "known as two recordings"),
        ("artist", "two", ""),
    ],
)
def test_what_the_table_of_groups_says_is_told(
    music: Path, tmp_path: Path, column: str, later: str, known: str
) -> None:
    table = tmp_path / "groups.csv"
    table.write_text(f"track_id,{column}\nmelody,one\nlater,{later}\n")
    result = run(music, "--groups", table)
    (near,) = [line for line in result.output.splitlines() if line.startswith(LINE)]
    assert near.split("\t")[5:] == ([known] if known else [])


def test_a_table_of_other_tracks_is_refused(music: Path, tmp_path: Path) -> None:
    (tmp_path / "groups.csv").write_text("track_id,artist\nmelody,one\nelsewhere,one\n")
    words = [music, "--groups", tmp_path / "groups.csv"]
    assert_mistake(run(*words), r"names 1 track that the folder has not: 'elsewhere'; go on")
    assert run(*words, "--on-missing", "skip").exit_code == 0


def test_what_is_sure_is_written_for_a_split(music: Path, tmp_path: Path) -> None:
    result = run(music, "--write", tmp_path / "groups.csv")
    assert "groups.csv (2 tracks)" in result.output
    table = groups_from(tmp_path / "groups.csv")
    assert list(table["track_id"]) == ["folk/melody", "pop/later"]
    assert table["recording"].nunique() == 1


def test_a_doubtful_pair_joins_when_it_is_confirmed(music: Path, tmp_path: Path) -> None:
    groups, doubtful = tmp_path / "groups.csv", tmp_path / "groups-doubtful.csv"
    run(music, "--write", groups)
    table = pd.read_csv(doubtful, keep_default_na=False)
    assert list(table["same"]) == ["", ""]
    table.loc[table["one"] == "folk/melody", "same"] = "yes"
    table.to_csv(doubtful, index=False)
    result = run(music, "--confirmed", doubtful, "--write", groups)
    assert "folk/melody\tpop/mixed\tconfirmed\t" in result.output
    assert sorted(groups_from(groups)["track_id"]) == ["folk/melody", "pop/later", "pop/mixed"]
    assert sorted(pd.read_csv(doubtful, keep_default_na=False)["same"]) == ["", "yes"]


def test_verdicts_that_have_no_effect_are_told(music: Path, tmp_path: Path) -> None:
    judged = tmp_path / "judged.csv"
    judged.write_text(
        "one,other,same\nfolk/melody,pop/mixed,yes\npop/later,pop/mixed,no\npop/x,pop/mixed,yes\n"
    )
    result = run(music, "--confirmed", judged, "--on-missing", "skip")
    assert result.output.splitlines()[-2:] == [
        "Judged apart, but joined by way of other tracks: pop/later and pop/mixed",
        "Left out: 1 verdict on what the folder has not",
    ]


def test_doubtful_pairs_are_drawn(music: Path, tmp_path: Path) -> None:
    result = run(music, "--draw", tmp_path / "pairs.png")
    assert f"Sheet: {tmp_path}/pairs.png" in result.output
    with Image.open(tmp_path / "pairs.png") as sheet:
        assert sheet.size == (1100, 460)


def test_without_doubt_nothing_is_drawn(music: Path, tmp_path: Path) -> None:
    judged = tmp_path / "judged.csv"
    judged.write_text("one,other,same\nfolk/melody,pop/mixed,no\npop/later,pop/mixed,no\n")
    result = run(music, "--draw", tmp_path / "pairs.png", "--confirmed", judged)
    assert "No pair is doubtful, so nothing is drawn" in result.output
    assert DOUBTFUL not in result.output.splitlines()[-3]
    assert not (tmp_path / "pairs.png").exists()


def test_doubtful_images_are_drawn_and_their_shift_is_a_share_of_the_width(
    music: Path, tmp_path: Path
) -> None:
    for number, name in enumerate(("folk/melody", "pop/mixed")):
        path = tmp_path / f"images/genre/{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        data = (music / f"{name}.wav").read_bytes()
        next(Preprocessor(PreprocessingSettings()).segments(data)).image.save(path)
    result = run(tmp_path / "images", "--draw", tmp_path / "pairs.png")
    assert "\tdoubtful\t" in result.output
    assert "%" in result.output.splitlines()[0]
    assert (tmp_path / "pairs.png").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--write", "groups.txt"], r"^Error: --write is 'groups.txt'; allowed are .* \.csv$"),
        (["--draw", "no/where.png"], r"^Error: --draw is 'no/where.png', but .* is no folder$"),
        (["--confirmed", "none.csv"], r"^Error: --confirmed is 'none.csv', which is no file"),
        (["--groups", "none.csv"], r"^Error: groups is 'none.csv', which is no file"),
        (["--split-dir", "nowhere"], r"^Error: the split list nowhere/train.txt cannot be read"),
        (["--features", "musicnn"], r"^Error: features musicnn are never drawn"),
    ],
)
def test_a_mistake_is_told_before_any_work(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert_mistake(run(music, *words), message)
    assert [path.name for path in tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", r"judged pairs are a CSV with one, other, same"),
        ("one,other,same\nx,y,maybe\n", r"has 'x', 'y', 'maybe' in row 2; judged pairs are"),
        ("one,other,same\nx,x,yes\n", r"has 'x', 'x', 'yes' in row 2"),
        ("one,other,same\nx,y,yes\ny,x,no\n", r"has yes and no for 'y' and 'x'"),
        ("one,other,same\nx,folk/melody,yes\n", r"name what the folder has not: 'x'; write ids"),
    ],
)
def test_a_wrong_verdict_is_told(music: Path, tmp_path: Path, text: str, message: str) -> None:
    judged = tmp_path / "judged.csv"
    judged.write_text(text)
    assert_mistake(run(music, "--confirmed", judged), message)
