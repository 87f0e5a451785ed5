"""Which format a file has, by its content, whatever it is called."""

import re

from genre_mlflow.features.formats import mpeg

IMAGES = {b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG"}
OWN = ("WAV", "AIFF", "AU", "CAF", "W64", "FLAC", "OGG", "MP3")
# How a file begins.
SIGNS = re.compile(
    rb"""
      (?P<WAV>       RIFF .{4} WAVE | RF64 .{4} WAVE )
    | (?P<AU>        \.snd )
    | (?P<FLAC>      fLaC )
    | (?P<OGG>       OggS )
    | (?P<AIFF>      FORM .{4} AIF[FC] )
    | (?P<W64>       riff \x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00 )
    | (?P<CAF>       caff \x00\x01 .{22} (?: lpcm | ulaw | alaw ) )
    """,
    re.VERBOSE | re.DOTALL,
)
RIFF = (b"RIFF", b"RF64")


def is_image(data: bytes) -> bool:
    """True for what begins as PNG and JPEG do."""
    return data.startswith(tuple(IMAGES))


def kind_of(data: bytes) -> str:
    """The format of a recording, as `SIGNS` names it, or MP3; empty for anything else.

    Tags in front are passed over, and so is what lies before the first frame of an MP3.
    """
    if is_image(data):
        return ""
    start = mpeg.after_tags(data)
    if sign := SIGNS.match(data, start):
        return str(sign.lastgroup)
    if data[start : start + 4] in RIFF:
        return ""  # a film
    is_mp3 = mpeg.find_first(data) is not None or mpeg.is_free_format(data, start)
    return "MP3" if start or is_mp3 else ""


def without_tags(data: bytes) -> bytes:
    """The file behind its ID3v2 tags."""
    return data[mpeg.after_tags(data) :] if data[:3] == b"ID3" else data
