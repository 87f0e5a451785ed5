"""`genre-mlflow serve`: the model's own code answers, in one process; mistakes are a line."""

import base64
import json
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from support import Trained, free_port, server

from genre_mlflow.errors import ModelError, SettingsError
from genre_mlflow.serving.server import ALLOCATOR, bound, environment, folder_of, serve_command
from genre_mlflow.tracking.servable import servable_folder


def test_a_folder_that_is_no_model_of_mlflow_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot be served: it has no MLmodel; registered vers"):
        folder_of(str(tmp_path))


def test_a_model_beside_a_local_store_is_served_from_where_it_lies(trained: Trained) -> None:
    folder, is_copy = servable_folder("models:/genre-classifier@champion")
    assert not is_copy
    assert folder.is_relative_to(trained.folder)
    assert folder_of(str(folder)) == (folder, False)


def test_what_the_user_has_set_counts_but_for_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "7")
    monkeypatch.setenv("OMP_NUM_THREADS", "9")
    given = environment(threads=3)
    assert (given["MALLOC_ARENA_MAX"], given["OMP_NUM_THREADS"]) == ("7", "3")
    assert environment(None)["OMP_NUM_THREADS"] == "9"
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert environment(None)["OMP_NUM_THREADS"] == "1"
    assert ALLOCATOR.keys() <= given.keys()


def test_two_servers_that_start_at_once_do_not_share_a_port() -> None:
    with bound("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(
            SettingsError, match=f"^port {port} of 127.0.0.1 cannot be used: .*in use"
        ):
            bound("127.0.0.1", port)


@pytest.mark.slow
def test_what_cannot_be_loaded_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        command = serve_command(tmp_path / "gone", listener.fileno(), is_copy=False)
        done = subprocess.run(command, capture_output=True, text=True, pass_fds=[listener.fileno()])
    assert done.returncode == 2
    assert done.stderr.startswith(f"Error: the model in {tmp_path}/gone cannot be served: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_the_code_that_a_model_was_logged_with_answers(trained: Trained, tmp_path: Path) -> None:
    folder, _ = servable_folder("models:/genre-classifier@champion")
    shutil.copytree(folder, tmp_path / "model")
    code = tmp_path / "model/code/genre_mlflow/model/classifier.py"
    text = code.read_text()
    for old, new in (
        (
            "max(self.probabilities, key=lambda genre: self.probabilities[genre])",
            '"as it was then"',
        ),
        ("return self.probabilities[self.genre]", "return 1.0"),
    ):
        assert old in text
        text = text.replace(old, new)
    code.write_text(text)
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        sys.executable, "-m", "genre_mlflow", "serve", "--model", str(tmp_path / "model"),
        "--port", url.rpartition(":")[2],
    ]  # fmt: skip
    image = next((trained.folder / "music").rglob("*.png")).read_bytes()
    body = {"dataframe_records": [{"content": base64.b64encode(image).decode()}]}
    request = urllib.request.Request(
        f"{url}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with server(command, f"{url}/ping", tmp_path, {"OMP_NUM_THREADS": "1"}) as process:
        with urllib.request.urlopen(request, timeout=60) as response:
            (answer,) = json.load(response)["predictions"]
        words = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert "Traceback" not in (tmp_path / "server.log").read_text()
    assert answer["genre"] == "as it was then"
    assert words[1] == b"-P"  # the process that was started is the one that answers
