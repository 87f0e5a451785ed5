"""Recording to log-mel against librosa, and to an image against matplotlib; one thread.

The 14 real recordings (30 s) in several formats; medians over all of them, in turns, so that noise
falls on all alike. librosa: `librosa.load` and `librosa.feature.melspectrogram` with defaults, not
even in decibels; ours: `decode` and `log_mel`, which is. Then what counting the frames of an MP3
takes beside decoding it, and what stretching and shifting a sound takes.

`--parts` shows instead, in processor time, where ours goes, beside the least that each part takes.
"""

import argparse
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import librosa
import numpy as np
import scipy.fft
import soundfile
import soxr
import threadpoolctl
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from real_data import real_data

from genre_mlflow.features.audio import decode
from genre_mlflow.features.formats import mpeg
from genre_mlflow.features.mel import FRAMES_PER_BLOCK, hann_window, mel_power, power_of
from genre_mlflow.features.preprocessing import Preprocessor
from genre_mlflow.features.settings import (
    SAMPLE_RATE,
    PreprocessingSettings,
    SpectrogramSettings,
)
from genre_mlflow.features.spectrogram import log_mel, render
from genre_mlflow.features.stretching import stretched

AMOUNTS = {"stretch": 1.1, "semitones": 1.0}
PIECE = 4096  # samples written at a time
FORMATS = {  # name: (ending, channels, sample rate in Hz, goal)
    "WAV, 22,050 Hz, mono": ("wav", 1, 22_050, 3.0),
    "WAV, 44,100 Hz, stereo": ("wav", 2, 44_100, 2.5),
    "MP3, 44,100 Hz, stereo": ("mp3", 2, 44_100, 2.0),
    "MP3, 22,050 Hz, mono": ("mp3", 1, 22_050, 2.0),
    "FLAC, 22,050 Hz, mono": ("flac", 1, 22_050, None),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--parts", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    threadpoolctl.threadpool_limits(1)
    if args.parts:
        print_parts(args.rounds)
        return
    walks: dict[str, list[float]] = {}
    recordings = sorted(real_data().glob("gtzan-audio/*/*.flac"))
    print("| 30 s recording to log-mel | librosa, ms | ours, ms | times as fast | goal |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, (ending, channels, rate, goal) in FORMATS.items():
            files = [convert(path, Path(folder), ending, channels, rate) for path in recordings]
            theirs, ours = in_turns(files, args.rounds, with_librosa, with_ours)
            aim = goal or ""
            ratio = theirs / ours
            print(f"| {name} | {theirs:.1f} | {ours:.1f} | {ratio:.1f} | {aim} |", flush=True)
            if ending == "mp3":
                songs = [file.read_bytes() for file in files]
                walks[name] = in_turns(songs, args.rounds, mpeg.walk, with_libsndfile)
    print("\n| 30 s of MP3 | its frames counted, ms | decoded, ms | share | goal |")
    print("|---|---|---|---|---|")
    for name, (walked, decoded) in walks.items():
        print(f"| {name} | {walked:.2f} | {decoded:.1f} | {walked / decoded:.1%} | 5 % |")
    matrices = [log_mel(decode(path.read_bytes())) for path in recordings]
    theirs, ours = in_turns(matrices, 1, with_matplotlib, render)
    print("\n| log-mel to image | matplotlib, ms | ours, ms | times as fast | goal |")
    print("|---|---|---|---|---|")
    print(f"| 385 x 387 pixels | {theirs:.1f} | {ours:.2f} | {theirs / ours:.0f} | 20 |")
    sounds = [decode(path.read_bytes()) for path in recordings]
    theirs, ours = in_turns(sounds, 1, stretched_by_librosa, partial(stretched, **AMOUNTS))
    print("\n| 30 s stretched and shifted | librosa, ms | ours, ms | times as fast |")
    print("|---|---|---|---|")
    print(f"| 1.1 times as slow, a semitone up | {theirs:.1f} | {ours:.1f} | {theirs / ours:.1f} |")
    preprocessor = Preprocessor(PreprocessingSettings())
    images = [render(matrix) for matrix in matrices]
    contents = [path.read_bytes() for path in recordings]
    whole, last = in_turns(list(zip(contents, images, strict=True)), args.rounds,
                           lambda pair: preprocessor(pair[0]),
                           lambda pair: preprocessor.prepare(pair[1]))  # fmt: skip
    print(
        f"\nFLAC to the network's input: {whole:.1f} ms, of which {last:.1f} ms from the image on"
    )


def print_parts(rounds: int) -> None:
    """Of each format: decoding, and what of it libsndfile and soxr take. Then of log-mel."""
    recordings = sorted(real_data().glob("gtzan-audio/*/*.flac"))
    clock = time.thread_time
    print(
        "| 30 s recording | all, ms | decoded, ms | of it libsndfile | of it soxr | log-mel, ms |"
    )
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, (ending, channels, rate, _) in FORMATS.items():
            files = [convert(path, Path(folder), ending, channels, rate) for path in recordings]
            kind = "float32" if ending == "mp3" else "int16"
            sound = soundfile.read(files[0], dtype="float32", always_2d=True)[0].mean(axis=1)
            mel = decode(files[0].read_bytes())
            spent = in_turns(
                files, rounds, with_ours, lambda path: decode(path.read_bytes()),
                lambda path, kind=kind: soundfile.read(path, dtype=kind),
                lambda _, sound=sound, rate=rate: soxr.resample(sound, rate, SAMPLE_RATE),
                lambda _, mel=mel: log_mel(mel), clock=clock,
            )  # fmt: skip
            spent[3] *= rate != SAMPLE_RATE
            print(f"| {name} | {' | '.join(f'{one:.1f}' for one in spent)} |", flush=True)
    sounds = [decode(path.read_bytes()) for path in recordings]
    print("\n| of log-mel | ms |\n|---|---|")
    ways = {
        "all of it": log_mel, "power in bands, with frames in doubt again": with_doubt,
        "without these": single, "windows and transforms alone, by torch": partial(transformed, 2),
        "windows alone": partial(transformed, 1), "copy with silence at its ends": padded,
        "transforms by scipy instead, with windows": by_scipy,
        "the same by torch.stft": by_stft,
    }  # fmt: skip
    for name, spent in zip(
        ways, in_turns(sounds, rounds, *ways.values(), clock=clock), strict=True
    ):
        print(f"| {name} | {spent:.1f} |")


SPECTROGRAM = SpectrogramSettings()
WINDOW = hann_window(SPECTROGRAM.n_fft, torch.float32)


def with_doubt(sound: np.ndarray) -> np.ndarray:
    return mel_power(sound, SPECTROGRAM)


def padded(sound: np.ndarray) -> torch.Tensor:
    """The frames, `[frames, n_fft]`, as they overlap."""
    silent = torch.from_numpy(np.pad(sound, SPECTROGRAM.n_fft // 2))
    return silent.unfold(0, SPECTROGRAM.n_fft, SPECTROGRAM.hop_length)


@torch.inference_mode()
def single(sound: np.ndarray) -> object:
    return power_of(padded(sound), SPECTROGRAM, torch.float32)


@torch.inference_mode()
def transformed(steps: int, sound: np.ndarray) -> None:
    """The first steps of what `power_of` does with each block: windows, transforms."""
    frames = padded(sound)
    for start in range(0, len(frames), FRAMES_PER_BLOCK):
        windowed = frames[start : start + FRAMES_PER_BLOCK] * WINDOW
        if steps > 1:
            torch.fft.rfft(windowed)


def by_scipy(sound: np.ndarray) -> None:
    """Of the transposed, whose transforms scipy does several at once."""
    frames, window = padded(sound).numpy(), WINDOW.numpy()
    for start in range(0, len(frames), FRAMES_PER_BLOCK):
        scipy.fft.rfft((frames[start : start + FRAMES_PER_BLOCK] * window).T, axis=0)


def by_stft(sound: np.ndarray) -> torch.Tensor:
    return torch.stft(
        torch.from_numpy(sound), SPECTROGRAM.n_fft, SPECTROGRAM.hop_length, window=WINDOW,
        pad_mode="constant", return_complex=True,
    )  # fmt: skip


def in_turns(
    things: list,
    rounds: int,
    *ways: Callable[[object], object],
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Median milliseconds of each way, which all take every thing in turn."""
    times: list[list[float]] = [[] for _ in ways]
    for way in ways:
        way(things[0])  # what is done once
    for thing in things * rounds:
        for spent, way in zip(times, ways, strict=True):
            started = clock()
            way(thing)
            spent.append(1000 * (clock() - started))
    return [statistics.median(spent) for spent in times]


def with_librosa(path: Path) -> np.ndarray:
    samples, rate = librosa.load(path)
    return librosa.feature.melspectrogram(y=samples, sr=rate)


def stretched_by_librosa(sound: np.ndarray) -> np.ndarray:
    """One after the other."""
    slow = librosa.effects.time_stretch(sound, rate=1 / AMOUNTS["stretch"])
    return librosa.effects.pitch_shift(slow, sr=SAMPLE_RATE, n_steps=AMOUNTS["semitones"])


def with_libsndfile(song: bytes) -> np.ndarray:
    """As our decoder reads it."""
    return soundfile.read(io.BytesIO(song), dtype="float32")[0]


def with_ours(path: Path) -> np.ndarray:
    return log_mel(decode(path.read_bytes()))


def with_matplotlib(matrix: np.ndarray) -> bytes:
    """The recipe of the published images."""
    figure = Figure(figsize=(5, 5), dpi=100)
    axes = figure.add_subplot()
    librosa.display.specshow(matrix, ax=axes, cmap="magma")
    axes.axis("off")
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(buffer, bbox_inches="tight", pad_inches=0)
    return buffer.getvalue()


def convert(path: Path, folder: Path, ending: str, channels: int, rate: int) -> Path:
    """The recording in another format; of two channels the second is softer."""
    samples, _ = soundfile.read(path, dtype="float32")
    if rate != SAMPLE_RATE:
        samples = soxr.resample(samples, SAMPLE_RATE, rate)
    if channels == 2:
        samples = np.stack([samples, 0.8 * samples], axis=1)
    target = folder / f"{path.stem}-{channels}-{rate}.{ending}"
    with soundfile.SoundFile(target, "w", rate, channels) as file:
        for start in range(0, len(samples), PIECE):
            file.write(samples[start : start + PIECE])
    return target


if __name__ == "__main__":
    main()
