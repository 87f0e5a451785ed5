"""Runs and models of a real store are compared by what they answered; what cannot be is told."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from mlflow import MlflowClient
from support import (
    Trained,
    assert_mistake,
    runs_in,
    store_in,
    train_small,
)

from genre_mlflow.cli.main import main
from genre_mlflow.jobs.compare import compare
from genre_mlflow.jobs.evaluate import evaluate

pytestmark = pytest.mark.slow

NAME = "genre-classifier"
HERE = "comparisons"


@pytest.fixture(scope="module")
def two(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Ids of a run that could hardly learn and of one that did, version 2 and 1 of one model.

    The store is the working folder's.
    """
    folder = tmp_path_factory.mktemp("two") / "store"
    with store_in(folder, like=trained.folder):
        weak = train_small(trained.folder / "music", epochs=1, lr=1e-7)
        yield [weak.run_id, trained.outcome.run_id]


def words(*addresses: str) -> Result:
    return CliRunner().invoke(
        main, ["compare", *addresses, "--experiment", HERE], catch_exceptions=False
    )


def metrics_of(run_id: str) -> dict[str, float]:
    return MlflowClient().get_run(run_id).data.metrics


def test_figures_are_those_of_the_runs(two: list[str]) -> None:
    weak, good = two
    done = compare([good], [weak], experiment=HERE)
    values = metrics_of(done.run_id)
    for name, run_id in (("a_accuracy", good), ("b_accuracy", weak)):
        assert values[name] == pytest.approx(metrics_of(run_id)["test_accuracy"])
    assert values["difference"] == pytest.approx(values["a_accuracy"] - values["b_accuracy"])
    assert values["tracks"] == values["groups"] == 6
    assert values["a_alone"] - values["b_alone"] == pytest.approx(6 * values["difference"])
    assert {"difference_low", "difference_over_tracks_high", "mcnemar_p"} <= values.keys()
    assert done.other_files == 0


def test_the_run_keeps_who_was_compared_and_the_tables(two: list[str]) -> None:
    weak, good = two
    run = MlflowClient().get_run(compare([good], [weak], experiment=HERE).run_id)
    assert run.info.run_name == f"compare {good} with {weak}"
    assert run.data.params == {"a": good, "b": weak}
    assert (run.data.tags["task"], run.data.tags["corpus"]) == ("compare", "music")
    assert run.info.status == "FINISHED"
    folder = Path(MlflowClient().download_artifacts(run.info.run_id, ""))
    genres = pd.read_csv(folder / "tables" / "genres.csv")
    assert genres["genre"].tolist() == ["blues", "jazz", "rock"]
    assert genres["tracks"].tolist() == [2, 2, 2]
    assert len(pd.read_csv(folder / "tables" / "tracks.csv")) >= genres["a_alone"].sum()
    assert (folder / "figures" / "gains.png").stat().st_size > 1000


def test_a_version_an_alias_and_a_run_are_one_and_the_same(two: list[str]) -> None:
    weak, good = two
    by_run = compare([good], [weak], experiment=HERE).comparison
    version = compare([f"models:/{NAME}/1"], [f"models:/{NAME}/2"], experiment=HERE)
    alias = compare([f"models:/{NAME}@champion"], [f"models:/{NAME}@challenger"], experiment=HERE)
    assert by_run.difference == version.comparison.difference == alias.comparison.difference
    params = MlflowClient().get_run(alias.run_id).data.params
    assert params == {"a": f"models:/{NAME}/1", "b": f"models:/{NAME}/2"}  # where they point now


def test_evaluations_are_compared_on_what_they_evaluated(two: list[str], trained: Trained) -> None:
    ids = [
        evaluate(f"models:/{NAME}/{v}", trained.options, split="all", experiment=HERE).run_id
        for v in "12"
    ]
    assert compare(ids[:1], ids[1:], experiment=HERE).comparison.n == 60


def test_seeds_stand_between_commas(two: list[str]) -> None:
    weak, good = two
    result = words(f"{good}, {weak}", f"models:/{NAME}/2")
    assert result.exit_code == 0, result.output
    assert "McNemar" not in result.output
    values = metrics_of(result.output.split()[-1])
    mean = (metrics_of(good)["test_accuracy"] + metrics_of(weak)["test_accuracy"]) / 2
    assert values["a_accuracy"] == pytest.approx(mean)


def test_the_terminal_says_first_whether_they_can_be_told_apart(two: list[str]) -> None:
    weak, good = two
    result = words(good, weak)
    first, *rest = result.output.splitlines()
    assert first.startswith(("A is better than B: A has +", "A and B cannot be told apart: A has "))
    assert first.endswith(", over 6 tracks)")
    assert any(line.startswith("A alone is right on ") for line in rest)
    assert max(map(len, rest)) <= 120


def test_music_of_the_same_names_is_told(
    two: list[str], tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    make_corpus(tmp_path / "music", tracks=20, size=40)  # the same names and split
    other = train_small(tmp_path / "music", epochs=1, model_name="other")
    result = words(two[1], other.run_id)
    assert "The files of 6 tracks have other bytes on either side: " in result.output


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "f00",
            r"^Error: there is no run 'f00' in this store; .*; allowed are a run's id, models:/",
        ),
        (f"models:/{NAME}@gone", rf"^Error: model '{NAME}' has no version with the alias gone$"),
        (f"models:/{NAME}/9", f"^Error: model {NAME!r} has no version .9.$"),
        ("models:/m-00", "^Error: MLflow: .*m-00"),
        ("models:/nobody@champion", "model 'nobody' has no version with the alias champion"),
        (".", r"^Error: \. is a folder, which keeps no predictions; evaluate it first"),
        (f"models:/{NAME}/1,", "has an empty address; allowed are A or A,A,..."),
        (f"models:/{NAME}/2", rf"^Error: models:/{NAME}/2 is named twice"),
    ],
)
def test_what_cannot_be_compared_is_one_line_and_no_run(
    two: list[str], address: str, message: str
) -> None:
    before = len(runs_in(MlflowClient(), HERE)) if logged(HERE) else 0
    assert_mistake(words(address, f"models:/{NAME}/2"), message)
    assert (len(runs_in(MlflowClient(), HERE)) if logged(HERE) else 0) == before


def logged(experiment: str) -> bool:
    return MlflowClient().get_experiment_by_name(experiment) is not None


def test_a_run_without_predictions_is_named(two: list[str]) -> None:
    done = compare(two[:1], two[1:], experiment=HERE)
    result = words(done.run_id, two[0])
    assert_mistake(
        result, rf"run {done.run_id} \(compare .*\) has no predictions: it is no finished"
    )


def test_other_tracks_and_other_genres_are_refused(
    two: list[str], trained: Trained, tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    split = train_small(trained.folder / "music", epochs=1, split_seed=1, model_name="other")
    assert_mistake(words(split.run_id, two[0]), "on the same tracks alone; .* in one table and not")
    soul = make_corpus(tmp_path / "soul", genres=("blues", "jazz", "soul"))
    genres = train_small(soul, epochs=1, model_name="soul")
    assert_mistake(words(genres.run_id, two[0]), "know blues, jazz, soul and blues, jazz, rock")


def test_without_a_store_none_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    assert_mistake(words("a", "b"), "there is no MLflow store")
    assert not (tmp_path / "mlflow.db").exists()
