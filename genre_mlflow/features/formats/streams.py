"""What libsndfile is told of a recording: streams whose headers tell the length that is there.

libsndfile believes the length in a header, or guesses it, and reads no sample beyond.
"""

from collections.abc import Callable
from functools import partial

from genre_mlflow.errors import DataError
from genre_mlflow.features.formats import chunks, flac, mpeg, ogg, riff

MENDED: dict[str, Callable[[bytes], bytes]] = {
    "WAV": riff.mended_wav,
    "AU": riff.mended_au,
    "AIFF": partial(chunks.mended, layout=chunks.AIFF),
    "CAF": partial(chunks.mended, layout=chunks.CAF),
    "W64": partial(chunks.mended, layout=chunks.W64),
    "MP3": mpeg.mended,
}


def streams(data: bytes, kind: str) -> list[bytes]:
    """What is to be decoded one after the other, as libsndfile reads it whole.

    `data`: without tags in front; `kind`: its format, empty if it has none that is known.
    Raises `DataError` for what is truncated, or holds more than can be read as one recording.
    """
    if kind == "OGG":
        return [ogg.checked(link) for link in ogg.links(data)]
    if kind == "FLAC":
        return [flac.mended(link) for link in flac.links(data)]
    if kind in MENDED:
        return [MENDED[kind](data)]
    raise DataError("holds no sound behind its ID3 tag")
