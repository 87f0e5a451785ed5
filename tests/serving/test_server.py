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

import mlflow
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sounds import by_ffmpeg, claiming, encode, tone
from support import Trained, free_port, server

import genre_mlflow
from genre_mlflow.evaluation.predictions import genres_of, probabilities, read_predictions
from genre_mlflow.features.images import KNOWN

pytestmark = pytest.mark.slow  # the server imports everything anew


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
    path = trained.client.download_artifacts(trained.outcome.run_id, "tables/predictions.csv")
    table = read_predictions(Path(path))
    shares = pd.DataFrame(probabilities(table), table["track_id"], genres_of(table))
    for path, served in zip(paths, answer["predictions"], strict=True):
        offline = classifier.predict(path.read_bytes())
        assert served["genre"] == offline.genre
        assert served["confidence"] == pytest.approx(offline.confidence, abs=1e-6)
        logged = shares.loc[f"{path.parent.name}/{path.stem}"]
        for genre, probability in served["probabilities"].items():
            assert probability == pytest.approx(offline.probabilities[genre], abs=1e-6)
            assert probability == pytest.approx(logged[genre], abs=2e-6)


def test_records_and_top_k_are_understood(trained: Trained, endpoint: str) -> None:
    record = {"content": encoded(images(trained)[0].read_bytes())}
    status, answer = ask(endpoint, {"dataframe_records": [record], "params": {"top_k": 2}})
    assert status == 200
    (prediction,) = answer["predictions"]
    values = list(prediction["probabilities"].values())
    assert len(values) == 2
    assert values == sorted(values, reverse=True)
    assert prediction["confidence"] == values[0]


def ask_for(endpoint: str, contents: list[bytes], **params: Any) -> list[dict[str, Any]]:
    """The answers to files that can be read."""
    records = [{"content": encoded(content)} for content in contents]
    status, answer = ask(endpoint, {"dataframe_records": records, "params": params})
    assert status == 200, answer
    return answer["predictions"]


def test_a_song_of_any_format_is_answered_for_beside_an_image(
    trained: Trained, endpoint: str
) -> None:
    song = np.stack([tone(70.0, 300, 44_100), tone(70.0, 900, 44_100)], axis=1)
    contents = [
        encode(song, "MP3", rate=44_100),
        images(trained)[0].read_bytes(),
        encode(song[:, 0], "OGG", rate=44_100),
    ]
    mp3, image, ogg = ask_for(endpoint, contents)
    assert (mp3["segments"], image["segments"], ogg["segments"]) == (2, 1, 2)
    classifier = genre_mlflow.load()
    for served, content in zip((mp3, image, ogg), contents, strict=True):
        assert served["probabilities"] == pytest.approx(classifier.predict(content).probabilities)


def test_the_timeline_tells_what_each_segment_says(endpoint: str) -> None:
    (answer,) = ask_for(endpoint, [encode(tone(75.0), "FLAC")], timeline=True, top_k=2)
    times = [(part["start_s"], part["end_s"]) for part in answer["timeline"]]
    assert times == [(0.0, 30.0), (30.0, 60.0), (45.0, 75.0)]
    assert all(len(part["probabilities"]) == 2 for part in answer["timeline"])
    assert answer["segments"] == 3
    assert "timeline" not in ask_for(endpoint, [encode(tone(2.0))])[0]


def test_a_bad_file_is_a_row_on_request(endpoint: str) -> None:
    good, bad = ask_for(endpoint, [encode(tone(2.0)), b"text"], on_error="row")
    assert (good["error"], good["segments"]) == ("", 1)
    assert (bad["genre"], bad["confidence"], bad["segments"]) == ("", None, 0)
    assert bad["error"] == f"is neither {KNOWN} (4 bytes)"


def test_a_null_is_a_row_on_request(endpoint: str) -> None:
    records = [{"content": None}, {"content": 5}, {"content": encoded(encode(tone(2.0)))}]
    status, answer = ask(endpoint, {"dataframe_records": records, "params": {"on_error": "row"}})
    assert status == 200, answer
    errors = [row["error"] for row in answer["predictions"]]
    assert errors == ["is null; send a file as base64", "is int; send a file as base64", ""]


def test_base64_is_read_in_every_format_and_alphabet(endpoint: str) -> None:
    data = encode(tone(1.3))
    (expected,) = ask_for(endpoint, [data])
    text, safe = encoded(data), base64.urlsafe_b64encode(data).decode()
    assert sum(map(safe.count, "-_")) > 100
    bodies = [
        {"dataframe_split": {"columns": ["content"], "data": [[text]]}},
        {"inputs": {"content": [text]}}, {"inputs": [text]}, {"instances": [{"content": text}]},
        {"dataframe_records": [{"content": safe}]},
        {"dataframe_records": [{"content": safe.rstrip("=")}]},
        {"dataframe_records": [{"content": base64.encodebytes(data).decode()}]},
    ]  # fmt: skip
    for body in bodies:
        assert ask(endpoint, body) == (200, {"predictions": [expected]})
    lines = f"content\n{text}\n".encode()
    request = urllib.request.Request(endpoint, lines, {"Content-Type": "text/csv"})
    with urllib.request.urlopen(request, timeout=60) as response:
        assert json.load(response) == {"predictions": [expected]}


def test_the_model_in_python_takes_bytes_and_base64(trained: Trained) -> None:
    model = mlflow.pyfunc.load_model("models:/genre-classifier@champion")
    data = encode(tone(1.3))
    table = pd.DataFrame({"content": [data, encoded(data), None, float("nan"), pd.NA]})
    rows = model.predict(table, params={"on_error": "row"}).to_dict("records")
    assert rows[0] == rows[1]
    assert rows[0]["error"] == ""
    assert {row["error"] for row in rows[2:]} == {"is null; send a file as base64"}


def test_what_ffmpeg_reads_is_answered_for_where_it_is(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    song = by_ffmpeg(tone(2.0), "song.m4a")
    table = pd.DataFrame({"content": [song, encode(tone(2.0)), base64.b64encode(song)]})
    model = mlflow.pyfunc.load_model("models:/genre-classifier@champion")
    assert model.predict(table, params={"on_error": "row"})["error"].tolist() == ["", "", ""]
    monkeypatch.setenv("PATH", str(tmp_path))
    m4a, wav, coded = model.predict(table, params={"on_error": "row"})["error"]
    assert m4a == coded and wav == ""
    assert m4a.startswith("is M4A, MP4 or MOV, which is read only where the program ffmpeg is ins")


def test_a_recording_and_its_published_image_get_the_same_answer(
    real_data: Path, endpoint: str
) -> None:
    recordings = sorted(real_data.glob("gtzan-audio/*/*.flac"))
    assert len(recordings) == 14
    pictures = [
        real_data / "gtzan-mel" / path.parent.name / f"{path.stem}.png" for path in recordings
    ]
    sounds, images = (
        ask_for(endpoint, [path.read_bytes() for path in paths]) for paths in (recordings, pictures)
    )
    for sound, image in zip(sounds, images, strict=True):
        assert sound["genre"] == image["genre"]
        assert sound["probabilities"] == pytest.approx(image["probabilities"], abs=1e-2)


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
         "row 0 of 'content' is text of 18 letters that is no base64."),
        ({"dataframe_records": [{"content": ""}]}, "row 0 of 'content' is empty."),
        ({"dataframe_records": [{"content": encoded(truncated())}]},
         "row 0 of 'content' is damaged or truncated"),
        ({"dataframe_records": [{"content": encoded(bomb())}]},
         "row 0 of 'content' has 60000 x 60000 = 3,600,000,000 pixels; at most 50,000,000 are"),
        ({"dataframe_records": [{"content": None}]},
         "row 0 of 'content' is null; send a file as base64."),
        ({"dataframe_records": [{"picture": "AAAA"}]}, "Model is missing inputs ['content']"),
        ({"dataframe_records": [{"content": encoded(encode(tone(0.01)))}]},
         "row 0 of 'content' lasts 0.01 s; at least 1 s are needed."),
        ({"dataframe_records": [{"content": encoded(encode(0 * tone(2.0)))}]},
         "row 0 of 'content' is silent throughout (2.0 s)."),
        ({"dataframe_records": [{"content": encoded(encode(tone(2.0), "FLAC")[:9000])}]},
         "row 0 of 'content' is damaged or truncated (flac decoder lost sync)."),
        ({"dataframe_records": [{"content": encoded(encode(tone(2.0), "MP3")[:9000])}]},
         "row 0 of 'content' is truncated"),
        ({"dataframe_records": [{"content": encoded(claiming(encode(tone(2.0), "FLAC"), 36_000))}]},
         "row 0 of 'content' lasts 36,000 s by its header; at most 3,600 s are read."),
        ({"dataframe_records": [{"content": "AAAA"}], "params": {"on_error": "skip"}},
         "on_error is 'skip'; allowed are raise, row."),
        ({"dataframe_records": []}, "Model is missing inputs ['content']"),
        ({"dataframe_split": {"columns": ["content"], "data": []}}, "no rows were sent"),
        ({"dataframe_records": [{"content": "AAAA"}], "params": {"top_k": 9}},
         "top_k is 9; allowed are 0 (all) to 3."),
        ({"dataframe_records": [{"content": "AAAA"}], "params": {"top_k": None}},
         "top_k is None; allowed are 0 (all) to 3."),
        ({"dataframe_records": [{"content": "AAAA"}], "params": {"on_error": None}},
         "on_error is None; allowed are raise, row."),
        ({"inputs": {"content": [encoded(b"text" * 99)]}}, "row 0 of 'content' is neither"),
        ({"instances": [{"content": encoded(b"text" * 99)}]}, "row 0 of 'content' is neither"),
    ],
)  # fmt: skip
def test_bad_request_gets_400_and_the_next_one_is_served(
    trained: Trained, endpoint: str, body: Any, sentence: str
) -> None:
    status, answer = ask(endpoint, body)
    assert status == 400
    assert sentence in answer["message"]
    assert len(answer["message"]) < 300  # what was sent is not repeated
    assert "stack_trace" not in answer
    good = {"dataframe_records": [{"content": encoded(images(trained)[0].read_bytes())}]}
    assert ask(endpoint, good)[0] == 200
