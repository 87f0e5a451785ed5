"""What libsndfile is told of a recording: streams whose headers tell the length that is there.

libsndfile believes the length in a header, or guesses it, and reads no sample beyond.
"""

from genre_mlflow.errors import DataError
from genre_mlflow.features.formats import flac, mpeg, ogg, riff

IMAGES = (b"\x89PNG", b"\xff\xd8\xff")  # PNG and JPEG


def is_image(data: bytes) -> bool:
    """True for what begins as PNG and JPEG do."""
    return data.startswith(IMAGES)


def kind_of(data: bytes) -> str:
    """WAV, AU, FLAC, OGG or MPEG, by content; empty for anything else.

    Tags in front are passed over, and so is what lies before the first frame of MPEG audio.
    """
    if is_image(data):
        return ""
    start = mpeg.after_tags(data)
    magic = data[start : start + 4]
    if magic in riff.MAGIC:
        return "WAV" if data[start + 8 : start + 12] == b"WAVE" else ""
    known = {b".snd": "AU", b"fLaC": "FLAC", b"OggS": "OGG"}
    if magic in known:
        return known[magic]
    is_mpeg = mpeg.find_first(data) is not None or mpeg.is_free_format(data, start)
    return "MPEG" if start or is_mpeg else ""


def streams(data: bytes) -> list[bytes]:
    """What is to be decoded one after the other, as libsndfile reads it whole.

    Raises `DataError` for what is truncated, or holds more than can be read as one recording.
    """
    data = data[mpeg.after_tags(data) :] if data[:3] == b"ID3" else data
    kind = kind_of(data)
    if kind == "WAV":
        return [riff.mended_wav(data)]
    if kind == "AU":
        return [riff.mended_au(data)]
    if kind == "FLAC":
        return [flac.mended(data)]
    if kind == "OGG":
        return ogg.links(data)
    if kind == "MPEG":
        return [mpeg.mended(data)]
    raise DataError("holds no sound behind its ID3 tag")
