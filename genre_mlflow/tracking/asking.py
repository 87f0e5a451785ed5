"""Models asked in processes of their own, as MLflow loads them: whether and how they answer."""

import base64
import io
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import wave
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import mlflow
import numpy as np

from genre_mlflow.errors import ModelError
from genre_mlflow.evaluation.cost import Cost
from genre_mlflow.served_model import CONTENT
from genre_mlflow.tracking import asked

WARM_UP, ASKED = 5, 60  # answers that are not counted, and those that are
RATE_HZ, LENGTH_S = 22_050, 30
CHORDS_HZ = (220.0, 277.2, 329.6), (196.0, 246.9, 293.7), (174.6, 220.0, 261.6)
LONGEST_S = 600  # that an answer may take; the first waits for the model, or its environment
LOCAL = "local"  # MLflow's word for the environment that we are in
LONGEST_REASON = 400  # letters
LOG_LINE = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d (INFO|WARNING) ")
TOO_LONG = f"no answer has come within {LONGEST_S} s"
FRAMES = "Traceback (most recent call last):"
COLOURS = re.compile(r"\x1b\[[\d;]*m")
CROSS = "\u00d7"  # with which uv begins an error
RULES = re.compile(rf"[\s{CROSS}╰├│─▶]+")  # and with which it draws what follows from what


class NoAnswerError(ModelError):
    """A model does not answer; the message is the reason, `uri` is its address."""

    def __init__(self, reason: str, uri: str = "") -> None:
        super().__init__(reason)
        self.uri = uri


def recording() -> bytes:
    """A WAV file of 30 s, the same each time: fading chords in noise. Every model hears sound."""
    time_s = np.arange(RATE_HZ * LENGTH_S) / RATE_HZ
    chord = np.array(CHORDS_HZ)[(time_s.astype(int)) % len(CHORDS_HZ)]
    sound = np.sin(2 * np.pi * chord * time_s[:, None]).mean(1) * np.exp(-2 * (time_s % 1))
    sound += 0.02 * np.random.default_rng(0).standard_normal(len(sound))
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))  # one channel, of 16 bits
        file.writeframes((sound.clip(-1, 1) * 32_000).astype("<i2").tobytes())
    return buffer.getvalue()


def check_answers(uri: str, *, fresh: bool) -> None:
    """Have MLflow load a model and answer to a recording. Raises `NoAnswerError` with the reason.

    `fresh`: in an environment of its own requirements, which uv builds, else in this one.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        file, out = request_file(folder), folder / "answer.json"
        manager = asked.UV if fresh else LOCAL
        words = ["once", uri, str(file), str(out), manager]
        with started(words, folder) as process:
            try:
                process.wait(LONGEST_S)
            except subprocess.TimeoutExpired as error:
                raise NoAnswerError(TOO_LONG, uri) from error
        if process.returncode or not out.exists():
            raise NoAnswerError(reason_in((folder / "said").read_text(errors="replace")), uri)
        check_genre(out.read_text(errors="replace"))


def check_genre(answer: str) -> None:
    """Raise `NoAnswerError` for an answer that is not one genre for the one recording."""
    try:
        (row,) = json.loads(answer)["predictions"]
        genre = row["genre"]
    except (ValueError, KeyError, TypeError):
        genre = ""
    if not genre or not isinstance(genre, str):
        raise NoAnswerError(f"its answer has no genre: {answer[:100]!r}")


def measure(uris: Sequence[str]) -> list[Cost]:
    """Latency and memory of models, which answer to a recording in turns, each in its own process.

    The memory is all that such a process takes: Python, MLflow, torch and the model. Raises
    `NoAnswerError` for one that does not answer.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        file = request_file(folder)
        processes = []
        for place, uri in enumerate(uris):
            own = folder / str(place)
            own.mkdir()
            process = stack.enter_context(started(["often", uri, str(file)], own))
            processes.append((process, own, uri))
        rounds = [[answer(*one) for one in processes] for _ in range(WARM_UP + ASKED)]
    found = []
    for answers in zip(*rounds, strict=True):
        times = tuple(milliseconds for milliseconds, _ in answers[WARM_UP:])
        found.append(Cost(latencies_ms=times, memory_mb=answers[-1][1]))
    return found


def answer(process: subprocess.Popen[str], folder: Path, uri: str) -> tuple[float, float]:
    """Ask the process of a model once: milliseconds that it took, megabytes that it has had."""
    assert process.stdin and process.stdout
    line = ""
    with suppress(BrokenPipeError):
        process.stdin.write("\n")
        process.stdin.flush()
        if not select.select([process.stdout], [], [], LONGEST_S)[0]:
            raise NoAnswerError(TOO_LONG, uri)
        line = process.stdout.readline()
    if not line:
        raise NoAnswerError(reason_in((folder / "said").read_text(errors="replace")), uri)
    took_ms, memory_mb = line.split()
    return float(took_ms), float(memory_mb)


def request_file(folder: Path) -> Path:
    """A request for `recording`, as a server gets it."""
    rows = {"columns": [CONTENT], "data": [[base64.b64encode(recording()).decode()]]}
    file = folder / "request.json"
    file.write_text(json.dumps({"dataframe_split": rows}))
    return file


@contextmanager
def started(words: Sequence[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that is asked, until the block ends; what it says lies in the file `said`.

    It leads a group, so that what it has started ends with it, and has its temporary files, the
    environment that MLflow builds among them, in `folder`.
    """
    scripts = str(Path(sys.executable).parent)  # where uv is, too
    values = {
        "PATH": os.pathsep.join([scripts, os.environ.get("PATH", "")]),
        "TMPDIR": str(folder),
        "MLFLOW_TRACKING_URI": mlflow.get_tracking_uri(),
        "MLFLOW_REGISTRY_URI": mlflow.get_registry_uri(),
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "NO_COLOR": "1",
    }
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-P", asked.__file__, *words], env=os.environ | values, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE if words[0] == "often" else said,
            stderr=said, start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        for pipe in (process.stdin, process.stdout):
            if pipe:
                with suppress(BrokenPipeError):
                    pipe.close()
        process.wait()


def reason_in(said: str) -> str:
    """What is wrong, of all that MLflow, uv and Python have said, in one line."""
    lines = [COLOURS.sub("", line) for line in said.splitlines()]
    lines = [line for line in lines if line.strip() and not LOG_LINE.match(line)]
    if FRAMES in lines:
        rest = lines[len(lines) - lines[::-1].index(FRAMES) :]
        words = [line for line in rest if not line.startswith(" ")]
    else:
        starts = [n for n, line in enumerate(lines) if line.lstrip().startswith((CROSS, "error:"))]
        words = lines[starts[-1] :] if starts else lines[-1:]
    reason = " ".join(RULES.sub(" ", line).strip() for line in words)
    if len(reason) > LONGEST_REASON:
        reason = f"{reason[:LONGEST_REASON]} ..."
    return reason or "it ended without a word"
