"""What was recorded is computed anew, and what somebody has changed is named with both values."""

import io
import json
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from mlflow import MlflowClient
from mlflow.entities import Run
from PIL import Image
from safetensors.torch import load_file, save_file
from support import (
    EXPERIMENT,
    SMALL,
    Trained,
    assert_mistake,
    small_options,
    store_in,
    train_small,
)

from genre_mlflow.cli.main import main
from genre_mlflow.jobs.card.card import make_card
from genre_mlflow.jobs.card.use import same_explanations
from genre_mlflow.jobs.train import train
from genre_mlflow.jobs.verify.verify import Verified, verify
from genre_mlflow.options import TrainOptions

NAME = "genre-classifier"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, make_corpus: Callable[..., Path]) -> Trained:
    """A run whose confidences are calibrated, in a store of its own; its files may be changed."""
    folder = tmp_path_factory.mktemp("verify")
    music = make_corpus(folder / "music", tracks=20)
    options = small_options(music, val_fraction=0.5, test_fraction=0.2, epochs=2)
    with store_in(folder) as client:
        return Trained(train(options, experiment=EXPERIMENT), client, options, folder)


@pytest.fixture
def run(kept: Trained, tmp_path: Path) -> Iterator[MlflowClient]:
    """Its store, to change what is recorded in it; files must be put back."""
    with store_in(tmp_path / "copy", like=kept.folder) as client:
        yield client


def place(kept: Trained, path: str) -> Path:
    """A file among the artifacts of the run."""
    uri = kept.client.get_run(kept.outcome.run_id).info.artifact_uri
    return Path(uri.removeprefix("file://")) / path


@contextmanager
def changed(path: Path) -> Iterator[Path]:
    """A file, or a folder, that is as it was when the block ends."""
    aside = path.with_name(f"{path.name}.aside")
    shutil.copytree(path, aside) if path.is_dir() else shutil.copy(path, aside)
    try:
        yield path
    finally:
        if path.is_dir():
            shutil.rmtree(path)
        aside.rename(path)


def told(found: Verified) -> dict[str, tuple[str, str]]:
    return {one.what: (one.recorded, one.now) for one in found.differences}


def call(*words: str) -> Result:
    return CliRunner().invoke(main, list(words), catch_exceptions=False)


def test_what_nobody_has_changed_agrees(kept: Trained, run: MlflowClient) -> None:
    assert "temperature" in kept.outcome.metrics
    before = run.get_run(kept.outcome.run_id).to_dictionary()
    result = call("verify", kept.outcome.run_id)
    assert result.exit_code == 0, result.output
    assert run.get_run(kept.outcome.run_id).to_dictionary() == before  # nothing is written
    assert len(run.search_runs([kept.outcome.experiment_id])) == 1
    assert re.search(
        r": all agree: \d+ figures, the answers for 60 tracks and \d+ lines of the card$",
        result.output.splitlines()[-1],
    )


@pytest.mark.slow
@pytest.mark.parametrize("address", ["models:/{name}@champion", "models:/{name}/1", "models:/{id}"])
def test_versions_and_models_are_verified_too(
    kept: Trained, run: MlflowClient, address: str
) -> None:
    assert verify(address.format(name=NAME, id=kept.outcome.model_id)).differences == []


def test_a_changed_metric_and_a_changed_card_are_named_with_both_values(
    kept: Trained, run: MlflowClient
) -> None:
    run_id, right = kept.outcome.run_id, kept.outcome.metrics["test_macro_f1"]
    run.log_metric(run_id, "test_macro_f1", right + 0.001, step=1000)
    with changed(place(kept, "model_card.md")) as card:
        text = card.read_text("utf-8")
        line = next(line for line in text.splitlines() if line.startswith("| test | "))
        card.write_text(text.replace(line, "| test | 12 | 99.9% |"), "utf-8")
        result = call("verify", run_id)
    assert result.exit_code == 1, result.output
    head, metric, of_card, _, last = result.stdout.splitlines()
    assert head.split() == ["what", "recorded", "now"]
    assert metric.split() == ["test_macro_f1", f"{right + 0.001:.6g}", f"{right:.6g}"]
    number = text.splitlines().index(line) + 1
    assert of_card.startswith(f"model_card.md, line {number}  | test | 12 | 99.9% |  {line[:40]}")
    assert last.startswith(f"{run_id}: 2 differences in ")


@pytest.mark.slow
def test_a_changed_page_is_named(kept: Trained, run: MlflowClient) -> None:
    with changed(place(kept, "model_card.html")) as page:
        text = page.read_text("utf-8")
        page.write_text(text.replace("<h1>genre-classifier", "<h1>the best of all"), "utf-8")
        found = told(verify(kept.outcome.run_id))
    assert found == {"model_card.html": ("the best of all", "genre-classifier")}


@pytest.mark.slow
def test_a_changed_answer_is_named(kept: Trained, run: MlflowClient) -> None:
    with changed(place(kept, "tables/predictions.csv")) as table:
        lines = table.read_text("utf-8").splitlines()
        (number,) = [i for i, line in enumerate(lines) if line.startswith("rock/rock.00003,")]
        cells = lines[number].split(",")
        lines[number] = ",".join([*cells[:-1], "99.0"])
        table.write_text("\n".join(lines) + "\n", "utf-8")
        found = told(verify(kept.outcome.run_id))
    assert found.keys() == {"answer for rock/rock.00003"}


@pytest.mark.slow
def test_changed_weights_are_named_and_so_is_what_they_answer(
    kept: Trained, run: MlflowClient
) -> None:
    location = run.get_logged_model(kept.outcome.model_id).artifact_location
    (weights,) = Path(location.removeprefix("file://")).rglob("weights.safetensors")
    with changed(weights):
        tensors = load_file(weights)
        bias = tensors["head.4.bias"]
        save_file({**tensors, "head.4.bias": bias + torch.tensor([0, 0, 5])}, weights)
        found = told(verify(kept.outcome.run_id))
        save_file({**tensors, "head.4.bias": bias * float("nan")}, weights)
        broken = call("verify", kept.outcome.run_id)
    assert_mistake(broken, r"Error: the model of run \w+ answers with what is no number: its")
    assert found["digest of the weights"][0] != found["digest of the weights"][1]
    assert "test_loss" in found and any(what.startswith("answer for ") for what in found)


@pytest.mark.slow
def test_changed_limits_and_other_familiar_music_are_named(
    kept: Trained, run: MlflowClient
) -> None:
    assert "sure_from" in kept.outcome.metrics
    location = run.get_logged_model(kept.outcome.model_id).artifact_location
    (config,) = Path(location.removeprefix("file://")).rglob("classifier.json")
    with changed(config):
        values = json.loads(config.read_text("utf-8"))
        values |= {
            "farthest": 2 * values["farthest"],
            "doubt": {"sure_from": 0.01, "likely_from": 0.99},
        }
        config.write_text(json.dumps(values), "utf-8")
        found = told(verify(kept.outcome.run_id))
    assert found.pop("sure_from of the model")[0] == "0.01"
    assert found.keys() == {"likely_from of the model", "farthest of the model"}
    with changed(config.with_name("familiarity.safetensors")) as arrays:
        known = load_file(arrays)
        save_file({**known, "references": known["references"] + 1}, arrays)
        found = told(verify(kept.outcome.run_id))
    assert found.keys() == {"digest of the familiar music"}


@pytest.mark.slow
def test_what_has_changed_in_the_data_is_named_by_track(kept: Trained, run: MlflowClient) -> None:
    with changed(kept.folder / "music") as music:
        shutil.copy(music / "rock" / "rock.00001.png", music / "rock" / "rock.00002.png")
        (music / "jazz" / "jazz.00003.png").unlink()
        (music / "jazz" / "jazz.00004.png").write_bytes(b"no image")
        (music / "blues" / "blues.00005.png").rename(music / "rock" / "moved.png")
        shutil.copy(music / "rock" / "rock.00001.png", music / "jazz" / "a copy.png")
        (music / "jazz" / "new.png").write_bytes(picture(music / "jazz" / "jazz.00000.png"))
        found = told(verify(kept.outcome.run_id))
        message = found["track jazz/jazz.00004"][1]
    assert found["track rock/rock.00002"][0].startswith("sha256 ")
    assert found["track jazz/jazz.00003"][1] == "missing"
    assert "neither a PNG or JPEG image" in message
    assert found["track blues/blues.00005"][1] == "now rock/moved"
    assert found["track jazz/new"] == ("", "jazz, new")
    assert "answer for jazz/jazz.00003" in found
    assert verify(kept.outcome.run_id).differences == []  # all is back


def picture(path: Path) -> bytes:
    """The same picture turned over, as a file."""
    buffer = io.BytesIO()
    Image.open(path).transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.slow
def test_a_tag_of_a_version_that_says_otherwise_is_named(kept: Trained, run: MlflowClient) -> None:
    run.set_model_version_tag(NAME, "1", "test_accuracy", "0.9999")
    run.set_tag(kept.outcome.run_id, "calibration", "Believe all of it.")
    found = told(verify(f"models:/{NAME}/1"))
    what = f"tag test_accuracy of models:/{NAME}/1"
    assert found.pop(what) == ("0.9999", f"{kept.outcome.metrics['test_accuracy']:.4f}")
    assert found == {}


def test_data_that_is_gone_is_one_line(kept: Trained, run: MlflowClient) -> None:
    music = kept.folder / "music"
    music.rename(kept.folder / "elsewhere")
    try:
        assert_mistake(call("verify", kept.outcome.run_id), r"^Error: \S+music is no folder; ")
    finally:
        (kept.folder / "elsewhere").rename(music)


@pytest.mark.parametrize("command", ["verify", "card"])
@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("nobody", r"^Error: there is no run 'nobody' in this store; .*; allowed are a run's id,"),
        ("models:/nobody/1", r"^Error: model .nobody. has no version .1.$"),
        ("models:/nobody@champion", r"^Error: .*nobody"),
        (".", r"^Error: \. is a folder, which names no run; allowed are"),
    ],
)
def test_what_is_not_there_is_one_line(
    run: MlflowClient, command: str, address: str, message: str
) -> None:
    assert_mistake(call(command, address), message)


@pytest.mark.parametrize("command", ["verify", "card"])
def test_a_run_of_something_else_is_refused(kept: Trained, run: MlflowClient, command: str) -> None:
    other = run.create_run("0", tags={"task": "compare"}, run_name="compare a with b")
    message = r"^Error: run \w+ \(compare a with b\) is one of compare; a card tells of a training$"
    assert_mistake(call(command, other.info.run_id), message)
    validated = run.create_run("0", tags={"task": "crossval"}, run_name="all")
    message = (
        r"^Error: run \w+ \(all\) is a cross-validation: a model of its --final has no test set"
    )
    assert_mistake(call(command, validated.info.run_id), message)
    begun = run.create_run("0", tags={"task": "train"}, run_name="begun")
    message = r"^Error: run \w+ \(begun\) has no model to tell of: it has not come to its end"
    assert_mistake(call(command, begun.info.run_id), message)


@pytest.mark.slow
def test_explanations_are_in_the_card_when_it_is_made_again(
    kept: Trained, run: MlflowClient
) -> None:
    run_id = kept.outcome.run_id
    shown = kept.folder / "music" / "jazz" / "jazz.00000.png"
    with changed(place(kept, "model_card.md")) as card, changed(place(kept, "model_card.html")):
        before = card.read_text("utf-8")
        run.log_text(run_id, "band,loss\n", "explanations/bands.csv")
        run.log_artifact(run_id, str(shown), "explanations/maps")
        assert verify(run_id).differences == []  # they are no figures
        _, again, page = make_card(f"models:/{NAME}@champion")
        assert again == card.read_text("utf-8")
        assert "\n- `explanations/bands.csv`\n- `explanations/maps/jazz.00000.png`\n" in again
        assert page.count("<img") == 1 + before.count("\n![")
        assert same_explanations(again, before) == before
        assert verify(run_id).differences == []
    shutil.rmtree(place(kept, "explanations"))


@pytest.mark.slow
def test_the_command_in_a_card_makes_the_same_card_again(kept: Trained, run: MlflowClient) -> None:
    card = place(kept, "model_card.md").read_text("utf-8")
    (command,) = re.findall(r"^genre-mlflow train .*$", card, re.M)
    result = call(*shlex.split(command)[1:])
    assert result.exit_code == 0, result.output
    first, second = run.search_runs([kept.outcome.experiment_id], order_by=["start_time"])
    assert second.info.run_id != first.info.run_id == kept.outcome.run_id
    again = Path(run.download_artifacts(second.info.run_id, "model_card.md")).read_text("utf-8")
    assert without_names(again, second) == without_names(card, first)


def without_names(card: str, run: Run) -> str:
    """A card without what differs each time: the run, its model and the time."""
    for name in (run.info.run_id, run.data.tags["model_id"]):
        card = card.replace(name, "ID")
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "now", card)


@pytest.mark.slow
def test_a_page_is_written_where_it_is_wanted(
    kept: Trained, run: MlflowClient, tmp_path: Path
) -> None:
    for name, start in (("card.html", "<!doctype html>"), ("card.md", "---\n")):
        result = call("card", kept.outcome.run_id, "--out", str(tmp_path / name))
        assert result.exit_code == 0, result.output
        assert (tmp_path / name).read_text("utf-8").startswith(start)
    assert_mistake(call("card", kept.outcome.run_id, "--out", "card.pdf"), r"\.md or \.html")


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"network": "statistics"},
        {"refit": True},
        {"refit": True, "refit_folds": 3},
        {"ensemble": 2, "distil": True},
        {"ensemble": 2, "distil": True, "refit": True},
    ],
)
def test_every_kind_of_training_is_computed_anew(
    store: MlflowClient, tmp_path: Path, make_corpus: Callable[..., Path], options: dict
) -> None:
    music = make_corpus(tmp_path / "music", tracks=20)
    small = SMALL | {"val_fraction": 0.5, "epochs": 2, "data": str(music)}
    if "network" in options:
        small = {name: small[name] for name in ("val_fraction", "data", "image_size")}
    values = TrainOptions.from_flat({**small, **options})
    outcome = train(values, experiment=EXPERIMENT)
    found = verify(outcome.run_id)
    assert (found.differences, found.notes) == ([], [])
    figure = "out_of_fold_accuracy" if "refit_folds" in options else "best_val_accuracy"
    store.log_metric(outcome.run_id, figure, 0.123, step=1000)
    assert [one.recorded for one in verify(outcome.run_id).differences] == ["0.123"]


@pytest.mark.slow
def test_an_earlier_model_of_a_run_that_went_on_is_compared_with_its_own_figures(
    store: MlflowClient, tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    options = small_options(make_corpus(tmp_path / "music"), epochs=1, val_fraction=0.4)
    first = train(options, experiment=EXPERIMENT)
    more = options.changed(epochs=3)
    train(more, experiment=EXPERIMENT, resume=first.run_id, given={"epochs"})
    found = verify(f"models:/{NAME}/1")
    assert found.differences == [] and found.n_lines == 0
    assert "went on after this model" in found.notes[0]
    assert verify(f"models:/{NAME}/2").n_lines > 100


@pytest.mark.slow
def test_a_split_that_its_lists_deal_otherwise_is_told(
    store: MlflowClient, tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    music = make_corpus(tmp_path / "music", tracks=9)
    ids = [f"{genre}.{i:05d}" for i in range(9) for genre in ("blues", "jazz", "rock")]
    sides = {"train": ids[:12], "val": ids[12:18], "test": ids[18:]}
    for name, tracks in sides.items():
        (tmp_path / f"{name}.txt").write_text("\n".join(tracks))
    outcome = train_small(music, split_dir=str(tmp_path), epochs=1)
    (tmp_path / "test.txt").write_text("\n".join(ids[19:]))
    (tmp_path / "val.txt").write_text("\n".join(ids[12:19]))
    found = told(verify(outcome.run_id))
    assert found.pop("split of blues/blues.00006") == ("test", "val")
    assert found.keys() == {"digest of data and split"}
    (tmp_path / "val.txt").unlink()
    result = call("verify", outcome.run_id)
    assert result.exit_code == 0
    assert "Not compared: the split cannot be dealt anew, so that of the run counts" in (
        result.output
    )
