"""Recordings that tests make: tones and noise in any format."""

import io
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 22_050
PIECE = 4096  # libsndfile's Vorbis encoder overflows its stack on long writes


def tone(seconds: float, hz: float = 440.0, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """A tone over noise, float32 `[samples]`, in steps of 16 bits that every format holds alike."""
    rng = np.random.default_rng(seed)
    n = round(seconds * rate)
    wave = 0.3 * np.sin(2 * np.pi * hz * np.arange(n) / rate)
    steps = np.rint(32768 * (wave + 0.02 * rng.standard_normal(n)))
    return (steps / 32768).astype(np.float32)


def encode(samples: np.ndarray, kind: str = "WAV", subtype: str = "", rate: int = RATE) -> bytes:
    """The bytes of a file with these samples, `[samples]` or `[samples, channels]`."""
    buffer = io.BytesIO()
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    with soundfile.SoundFile(
        buffer, "w", rate, channels, subtype=subtype or None, format=kind
    ) as file:
        for start in range(0, len(samples), PIECE):
            file.write(samples[start : start + PIECE])
    return buffer.getvalue()


def claiming(data: bytes, seconds: float) -> bytes:
    """A mono WAV of 16 bits or a FLAC with another length in its header."""
    changed = bytearray(data)
    n = round(seconds * RATE)
    if data[:4] == b"RIFF":
        changed[4:8] = (2 * n + 36).to_bytes(4, "little")
        changed[40:44] = (2 * n).to_bytes(4, "little")
    else:  # the last 36 bits of 8 bytes of STREAMINFO
        fields = int.from_bytes(data[18:26], "big")
        changed[18:26] = (fields >> 36 << 36 | n).to_bytes(8, "big")
    return bytes(changed)


def by_ffmpeg(samples: np.ndarray, name: str, *options: str, rate: int = RATE) -> bytes:
    """The bytes of a file of this name, which ffmpeg has encoded with these options."""
    if not shutil.which("ffmpeg"):
        pytest.skip("ffmpeg is not on this machine")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "source.wav"), Path(folder, name)
        source.write_bytes(encode(samples, rate=rate))
        command = ["ffmpeg", "-nostdin", "-v", "error", "-i", source, *options, target]
        subprocess.run(command, check=True)
        return target.read_bytes()


def program(folder: Path, script: str) -> None:
    """A program called ffmpeg in this folder, made of lines of sh."""
    (folder / "ffmpeg").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "ffmpeg").chmod(0o755)
