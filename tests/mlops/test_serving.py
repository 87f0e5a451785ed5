"""The model behind a real server, which is asked over HTTP."""

import base64
import io
import json
import struct
import sys
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image
from support import Trained, free_port, server

import genre_mlflow
from genre_mlflow.features.preprocessing import KNOWN


@pytest.fixture(scope="module")
def endpoint(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`mlflow models serve` of the champion."""
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local",
        "-m", "models:/genre-classifier@champion", "--port", url.rpartition(":")[2],
    ]  # fmt: skip
    folder = tmp_path_factory.mktemp("serve")
    with server(command, f"{url}/ping", folder, {}):
        yield f"{url}/invocations"


def ask(endpoint: str, body: Any) -> tuple[int, Any]:
    request = urllib.request.Request(
        endpoint, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def images(trained: Trained) -> list[Path]:
    return sorted((trained.folder / "music").rglob("*.png"))[::5]


def bomb() -> bytes:
    """A PNG whose header claims 60,000 x 60,000 pixels."""
    chunks = [
        b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0),
        b"IDAT" + zlib.compress(b"nothing like enough"),
        b"IEND",
    ]
    parts = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_served_probabilities_equal_offline_ones(trained: Trained, endpoint: str) -> None:
    paths = images(trained)
    rows = [[encoded(path.read_bytes())] for path in paths]
    status, answer = ask(endpoint, {"dataframe_split": {"columns": ["content"], "data": rows}})
    assert status == 200
    classifier = genre_mlflow.load()
    table = pd.read_csv(
        trained.client.download_artifacts(trained.outcome.run_id, "tables/predictions.csv"),
        index_col="track_id",
    )
    for path, served in zip(paths, answer["predictions"], strict=True):
        offline = classifier.predict(path.read_bytes())
        assert served["genre"] == offline.genre
        assert served["confidence"] == pytest.approx(offline.confidence, abs=1e-6)
        logged = table.loc[f"{path.parent.name}/{path.stem}"]
        for genre, probability in served["probabilities"].items():
            assert probability == pytest.approx(offline.probabilities[genre], abs=1e-6)
            assert probability == pytest.approx(logged[f"p_{genre}"], abs=2e-6)


def test_records_and_top_k_are_understood(trained: Trained, endpoint: str) -> None:
    record = {"content": encoded(images(trained)[0].read_bytes())}
    status, answer = ask(endpoint, {"dataframe_records": [record], "params": {"top_k": 2}})
    assert status == 200
    (prediction,) = answer["predictions"]
    values = list(prediction["probabilities"].values())
    assert len(values) == 2
    assert values == sorted(values, reverse=True)
    assert prediction["confidence"] == values[0]


def truncated() -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(buffer, "PNG")
    return buffer.getvalue()[:900]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"dataframe_records": [{"content": encoded(b"text")}]},
         f"row 0 of 'content' is neither {KNOWN} (4 bytes)."),
        ({"dataframe_records": [{"content": "no base64 here!!!!"}]},
         "row 0 of 'content' is neither a PNG or JPEG image"),
        ({"dataframe_records": [{"content": ""}]}, "row 0 of 'content' is empty."),
        ({"dataframe_records": [{"content": encoded(truncated())}]},
         "row 0 of 'content' is damaged or truncated"),
        ({"dataframe_records": [{"content": encoded(bomb())}]},
         "has too many pixels; at most 50,000,000 are read."),
        ({"dataframe_records": [{"content": None}]}, "Failed to convert column content"),
        ({"dataframe_records": [{"picture": "AAAA"}]}, "Model is missing inputs ['content']"),
        ({"dataframe_records": []}, "Model is missing inputs ['content']"),
        ({"dataframe_split": {"columns": ["content"], "data": []}}, "no rows were sent"),
        ({"dataframe_records": [{"content": "AAAA"}], "params": {"top_k": 9}},
         "top_k is 9; allowed are 0 (all) to 3."),
    ],
)  # fmt: skip
def test_bad_request_gets_400_and_the_next_one_is_served(
    trained: Trained, endpoint: str, body: Any, sentence: str
) -> None:
    status, answer = ask(endpoint, body)
    assert status == 400
    assert sentence in answer["message"]
    good = {"dataframe_records": [{"content": encoded(images(trained)[0].read_bytes())}]}
    assert ask(endpoint, good)[0] == 200
