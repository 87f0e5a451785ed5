"""`--network csv`: a table of features on the same split, tracked and not registered."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from mlflow import MlflowClient
from support import EXPERIMENT, runs_in

import genre_mlflow
from genre_mlflow.cli.main import main
from genre_mlflow.errors import DataError, ModelError, SettingsError
from genre_mlflow.evaluation.predictions import read_predictions
from genre_mlflow.jobs.train import train
from genre_mlflow.options import TrainOptions

GENRES = ("blues", "jazz", "rock")


@pytest.fixture
def music(tmp_path: Path, make_corpus: Callable[..., Path]) -> Path:
    return make_corpus(tmp_path / "music")


def write_table(path: Path, music: Path, leave_out: tuple[str, ...] = ()) -> Path:
    rng = np.random.default_rng(0)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["filename", "genre", "tempo", "brightness"])
        for image in sorted(music.rglob("*.png")):
            if image.stem not in leave_out:
                place = GENRES.index(image.parent.name)
                numbers = rng.normal(0, 0.2, 2) + np.array([100 * place, -place])
                rows.writerow([f"{image.stem}.wav", image.parent.name, *numbers])
    return path


def flat(music: Path, table: Path) -> dict[str, str]:
    return {"data": str(music), "network": "csv", "table": str(table)}


@pytest.mark.slow
def test_it_is_trained_on_the_rows_there_are_and_not_registered(
    store: MlflowClient, music: Path, tmp_path: Path
) -> None:
    table = write_table(tmp_path / "mine.csv", music, ("blues.00003", "rock.00007"))
    words = [f"--{name}={value}" for name, value in flat(music, table).items()]
    result = CliRunner().invoke(main, ["train", *words, f"--experiment={EXPERIMENT}"])
    assert result.exit_code == 0, result.output
    assert "mine.csv has no row of 2 tracks of 60, which are left out: blues" in result.output
    assert "not registered: a new song has no row in the table" in result.output
    assert "serve it" not in result.output
    (run,) = runs_in(store)
    assert run.info.run_name == "csv mine.csv, svm, music, seed 0"
    assert run.data.metrics["test_accuracy"] == 1.0
    assert store.search_registered_models() == []
    folder = store.download_artifacts(run.info.run_id, "tables", str(tmp_path))
    predictions = read_predictions(Path(folder) / "predictions.csv")
    assert len(predictions) == 58
    assert not {"blues/blues.00003", "rock/rock.00007"} & set(predictions["track_id"])


@pytest.mark.slow
def test_numbers_that_are_dealt_to_other_tracks_say_nothing(
    store: MlflowClient, music: Path, tmp_path: Path
) -> None:
    """So it is the rows that are read, and not the pictures beside them."""
    table = write_table(tmp_path / "mine.csv", music)
    with table.open(newline="") as file:
        header, *rows = list(csv.reader(file))
    dealt = np.random.default_rng(1).permutation(len(rows))
    moved = [[row[0], *rows[other][1:]] for row, other in zip(rows, dealt, strict=True)]
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([header, *moved])
    outcome = train(TrainOptions.from_flat(flat(music, table)), experiment=EXPERIMENT)
    assert outcome.metrics["best_val_accuracy"] < 0.8
    assert outcome.version == ""


@pytest.mark.parametrize(
    ("left", "message"),
    [
        ("blues", r"has no row of genre 'jazz' in train; it has \d+ of 60 tracks, and names them"),
        ("nothing of these", r"no row of genre 'blues' in train; it has 0 of .*such as 'another'$"),
    ],
)
def test_a_table_of_too_little_is_refused_before_a_run(
    store: MlflowClient, music: Path, tmp_path: Path, left: str, message: str
) -> None:
    out = tuple(path.stem for path in music.rglob("*.png") if path.parent.name != left)
    table = write_table(tmp_path / "mine.csv", music, out)
    with table.open("a") as file:
        file.write("another,blues,1,2\n")
    with pytest.raises(DataError, match=message):
        train(TrainOptions.from_flat(flat(music, table)), experiment=EXPERIMENT)
    assert store.get_experiment_by_name(EXPERIMENT) is None


def test_without_a_table_it_says_what_it_needs() -> None:
    with pytest.raises(SettingsError, match=r"^network csv needs --table FILE, a CSV with a row"):
        TrainOptions.from_flat({"network": "csv"})


def test_copies_with_other_numbers_are_refused(
    store: MlflowClient, music: Path, tmp_path: Path
) -> None:
    copied = music / "rock" / "copy.png"
    copied.write_bytes((music / "rock" / "rock.00000.png").read_bytes())
    table = write_table(tmp_path / "mine.csv", music)
    message = r"are copies of one file, but their rows in the table differ$"
    with pytest.raises(DataError, match=message):
        train(TrainOptions.from_flat(flat(music, table)), experiment=EXPERIMENT)


@pytest.mark.slow
def test_a_run_is_not_resumed_on_another_table(
    store: MlflowClient, music: Path, tmp_path: Path
) -> None:
    table = write_table(tmp_path / "mine.csv", music)
    outcome = train(TrainOptions.from_flat(flat(music, table)), experiment=EXPERIMENT)
    again = train(TrainOptions(), experiment=EXPERIMENT, resume=outcome.run_id)
    assert again.metrics["test_accuracy"] == outcome.metrics["test_accuracy"]
    table.write_text(table.read_text() + "\n")
    with pytest.raises(ModelError, match="cannot be resumed: the table that it reads has changed"):
        train(TrainOptions(), experiment=EXPERIMENT, resume=outcome.run_id)


@pytest.mark.slow
def test_its_checkpoint_is_no_model_of_music(
    store: MlflowClient, music: Path, tmp_path: Path
) -> None:
    table = write_table(tmp_path / "mine.csv", music)
    outcome = train(TrainOptions.from_flat(flat(music, table)), experiment=EXPERIMENT)
    (model,) = store.search_logged_models([outcome.experiment_id])
    with pytest.raises(ModelError, match="reads the rows of a table; it hears no music"):
        genre_mlflow.load(f"models:/{model.model_id}")
