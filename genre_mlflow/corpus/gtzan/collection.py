"""What is known of the GTZAN collection: its tracks, their checksums, the filtered split."""

import hashlib
import io
import re
import wave
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

import soundfile

TABLE = "gtzan.txt"
CORRUPT = "corrupt"  # in the table, for a track whose file is damaged as commonly distributed
EXCLUDED = "excluded"
EXTENSIONS = ("wav", "au", "flac")
FILE_NAME = re.compile(rf"([a-z]+\.\d{{5}})\.({'|'.join(EXTENSIONS)})", re.IGNORECASE)
# Of `data/genres.tar.gz` in the dataset marsyas/gtzan, the one version in its history: the page
# https://huggingface.co/datasets/marsyas/gtzan/blob/refs%2Fpr%2F1/data/genres.tar.gz shows the sum
# under "Git LFS Details". torchaudio and mirdata have other sums, those of the file that was at
# http://opihi.cs.uvic.ca/sound/genres.tar.gz until 2022.
ARCHIVE_SHA256 = "b28cc067ff6199bd826f5d1a6931458586d64acae7f44b2e882b7a97af057531"
MAX_TRACK_BYTES = 8_000_000  # six times as much as half a minute needs


@dataclass(frozen=True)
class Collection:
    """A collection of tracks called `genre.NNNNN`.

    `sides`: train, val, test, excluded or corrupt; `sha256`: of the canonical WAV; by track both.
    `archive_sha256`: of the archive that can be downloaded.
    """

    sides: Mapping[str, str]
    sha256: Mapping[str, str]
    archive_sha256: str

    @property
    def tracks(self) -> list[str]:
        """All that can be used, by name."""
        return sorted(track for track, side in self.sides.items() if side != CORRUPT)

    @property
    def corrupt(self) -> list[str]:
        """The others."""
        return sorted(track for track, side in self.sides.items() if side == CORRUPT)

    def find(self, name: str) -> tuple[str, str] | None:
        """Track and extension that the name of a file tells of; None for other files."""
        match = FILE_NAME.fullmatch(name)
        if not match or match[1].lower() not in self.sides:
            return None
        return match[1].lower(), match[2].lower()

    def holds(self, track: str, data: bytes) -> bool:
        """True if these bytes, or the same sound as a canonical WAV, have the track's checksum."""
        if hashlib.sha256(data).hexdigest() == self.sha256[track]:
            return True
        wav = canonical_wav(data)
        return wav is not None and hashlib.sha256(wav).hexdigest() == self.sha256[track]


def gtzan() -> Collection:
    """The collection itself, as the table in this folder has it."""
    text = files("genre_mlflow.corpus.gtzan").joinpath(TABLE).read_text(encoding="utf-8")
    rows = [line.split() for line in text.splitlines() if not line.startswith("#")]
    sides, sha256 = ({row[0]: row[column] for row in rows} for column in (1, 2))
    return Collection(sides, sha256, ARCHIVE_SHA256)


def canonical_wav(data: bytes) -> bytes | None:
    """The sound of a mono recording as a WAV of 16 bits, header of 44 bytes; None if there's none.

    Another lossless form of a track (AU, FLAC, a WAV with tags) so becomes the very same bytes.
    """
    try:
        samples, rate = soundfile.read(io.BytesIO(data), dtype="int16", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError):
        return None
    if samples.shape[1] != 1:
        return None
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return buffer.getvalue()
