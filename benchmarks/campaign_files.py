"""Files that are broken at random, through the preprocessor, the scan and the served model."""

import io
import multiprocessing
import os
import random
import resource
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

SLOWEST_S = 30.0  # for any file of half a minute of sound
MEMORY = 1 << 30  # bytes that a process may grow by, over what it takes for whole files
RATE = 22_050
FOLDER = 250  # files a scan
KINDS = ("WAV", "FLAC", "MP3", "OGG", "AU", "AIFF", "CAF", "W64")
BY_FFMPEG = ("m4a", "webm", "wma", "wv")


def whole_files() -> dict[str, bytes]:
    """Recordings and images of each kind, and real ones where `GENRE_REAL_DATA` names some."""
    random_numbers = np.random.default_rng(0)
    sound = 0.1 * random_numbers.standard_normal(RATE * 6).astype(np.float32)
    found = {}
    for kind in KINDS:
        buffer = io.BytesIO()
        with soundfile.SoundFile(buffer, "w", RATE, 1, format=kind) as file:
            for start in range(0, len(sound), 4096):
                file.write(sound[start : start + 4096])
        found[kind.lower()] = buffer.getvalue()
    if shutil.which("ffmpeg"):
        found |= {ending: by_ffmpeg(found["wav"], ending) for ending in BY_FFMPEG}
    pixels = random_numbers.integers(0, 255, (64, 64), dtype=np.uint8)
    for kind in ("PNG", "JPEG"):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, kind)
        found[kind.lower()] = buffer.getvalue()
    real = Path(os.environ.get("GENRE_REAL_DATA", "nowhere"))
    for path in sorted(real.glob("gtzan-audio/*/*"))[:4] + sorted(real.glob("gtzan-mel/*/*"))[:4]:
        found[path.name] = path.read_bytes()
    return found


def by_ffmpeg(wav: bytes, ending: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"sound.{ending}")
        command = ["ffmpeg", "-v", "error", "-f", "wav", "-i", "-", str(path)]
        subprocess.run(command, input=wav, check=True)
        return path.read_bytes()


def flipped(data: bytes, other: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 8, 64))):
        # Half of them in the head, where the lengths stand.
        end = min(len(data), 256) if rng.random() < 0.5 else len(data)
        changed[rng.randrange(end)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(data: bytes, other: bytes, rng: random.Random) -> bytes:
    first, last = sorted(rng.randrange(len(data)) for _ in range(2))
    return rng.choice((data[:last], data[first:], data[:first] + data[last:]))


def joined(data: bytes, other: bytes, rng: random.Random) -> bytes:
    return data + (data if rng.random() < 0.5 else other)


def other_header(data: bytes, other: bytes, rng: random.Random) -> bytes:
    size = rng.choice((4, 12, 44, 256))
    return other[:size] + data[size:]


def other_numbers(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """A number of the head is another one, as a length that lies."""
    place = rng.randrange(min(len(data), 128))
    number = rng.choice((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, rng.randrange(1 << 32)))
    return data[:place] + number.to_bytes(4, rng.choice(("little", "big"))) + data[place + 4 :]


def emptied(data: bytes, other: bytes, rng: random.Random) -> bytes:
    first, last = sorted(rng.randrange(len(data)) for _ in range(2))
    return data[:first] + bytes(last - first) + data[last:]


BREAKS: tuple[Callable[[bytes, bytes, random.Random], bytes], ...] = (
    flipped, cut, joined, other_header, other_numbers, emptied
)  # fmt: skip


def broken_files(count: int, seed: int) -> list[tuple[str, bytes]]:
    """Names that tell how a file was made, and its bytes."""
    rng, whole = random.Random(seed), whole_files()
    found = []
    for number in range(count):
        name, other = rng.choice(list(whole)), rng.choice(list(whole))
        breaks = rng.choices(BREAKS, k=rng.choice((1, 1, 2)))
        data = whole[name]
        for change in breaks:
            data = change(data, whole[other], rng) or b"\0"
        words = "-".join(change.__name__ for change in breaks)
        found.append((f"{number:05d}-{words}-{name}", data))
    return found


def break_files(project: Path, folder: Path, count: int, seed: int) -> list[str]:
    files = broken_files(count, seed)
    return through_model(files, project) + through_scan(files, folder)


def answer_files(connection: Connection, project: Path) -> None:
    """A process that answers for each file as the served model does, and what it takes."""
    os.chdir(project)
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{project}/mlflow.db"
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)  # decoders of C speak there
    import mlflow
    import pandas as pd

    model = mlflow.pyfunc.load_model("models:/reference/1")
    for data in whole_files().values():  # what whole files take is no finding
        model.predict(pd.DataFrame({"content": [data]}), params={"on_error": "row"})
    connection.send(("ready", 0))
    while True:
        data = connection.recv()
        try:
            row = model.predict(pd.DataFrame({"content": [data]}), params={"on_error": "row"}).iloc[
                0
            ]
            said = f"error: {row['error']}" if row["error"] else f"answer: {row['genre']}"
        except Exception as error:
            said = f"exception: {type(error).__name__}: {error}"
        connection.send((said, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))


def through_model(files: list[tuple[str, bytes]], project: Path) -> list[str]:
    """Each file is answered or named, within the time and the memory that are stated."""
    spawn = multiprocessing.get_context("spawn")
    findings: list[str] = []
    kinds: Counter[str] = Counter()
    seconds: list[float] = []
    process, least = None, 0
    for name, data in files:
        if process is None or not process.is_alive():
            ours, theirs = spawn.Pipe()
            process = spawn.Process(target=answer_files, args=(theirs, project), daemon=True)
            process.start()
            theirs.close()
            assert ours.recv()[0] == "ready"
            least = 0
        started = time.monotonic()
        ours.send(data)
        try:
            said, memory = ours.recv() if ours.poll(SLOWEST_S) else ("hang", 0)
        except EOFError:
            said, memory = "crash", 0
        seconds.append(time.monotonic() - started)
        least = least or memory
        kinds[said.partition(":")[0]] += 1
        if said.startswith(("exception", "hang", "crash")) or "\n" in said:
            findings.append(f"{name}: {said[:300]}")
        if memory - least > MEMORY:
            findings.append(f"{name}: memory grew by {(memory - least) / 1e9:.1f} GB")
            least = memory
        if said in ("hang", "crash"):
            process.kill()
            process.join()
    if process is not None:
        process.kill()
    print(f"served model: {dict(kinds)}; a file takes at most {max(seconds):.1f} s")
    return findings


def through_scan(files: list[tuple[str, bytes]], folder: Path) -> list[str]:
    """Each file is in the manifest, or named with a reason."""
    from genre_mlflow.corpus.scan import scan
    from genre_mlflow.errors import GenreError

    findings, usable, refused = [], 0, 0
    endings = {kind.lower() for kind in KINDS} | {*BY_FFMPEG, "png", "jpeg"}
    for start in range(0, len(files), FOLDER):
        corpus = folder / "broken"
        for genre in ("a", "b"):
            (corpus / genre).mkdir(parents=True)
            Image.radial_gradient("L").resize((32, 32)).save(corpus / genre / f"{genre}whole.png")
        names = set()
        for number, (name, data) in enumerate(files[start : start + FOLDER]):
            ending = name.rpartition("-")[2].rpartition(".")[2]
            path = corpus / "ab"[number % 2] / f"{name}.{ending if ending in endings else 'wav'}"
            path.write_bytes(data)
            names.add(str(path))
        try:
            found = scan(corpus, "skip")
        except GenreError as error:
            findings.append(f"scan of files {start} on: {str(error)[:300]}")
        except Exception as error:
            findings.append(f"scan of files {start} on: {type(error).__name__}: {error}"[:300])
        else:
            known = set(found.manifest["path"])
            told = {str(file.path) for file in found.bad_files}
            told |= {str(corpus / path) for paths in found.notes.values() for path in paths}
            text = " ".join(" ".join(paths) for paths in found.notes.values())
            lost = [n for n in names - known - told if Path(n).name not in text]
            findings += [f"{Path(name).name}: neither used nor named" for name in lost[:5]]
            usable, refused = usable + len(known & names), refused + len(told & names)
        shutil.rmtree(corpus)
    print(f"scan: {usable} usable, {refused} named with a reason")
    return findings
