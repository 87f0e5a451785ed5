"""Which format a file has, by its content, whatever it is called."""

import re

from genre_mlflow.features.formats import adts, mpeg

IMAGES = {b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG"}
OWN = ("WAV", "AIFF", "AU", "CAF", "W64", "FLAC", "OGG", "MP3")
WITH_FFMPEG = ("M4A", "AAC", "WMA", "WebM", "Matroska", "APE", "WavPack", "TTA", "Musepack")
# How a file begins. One of ISO's boxes (M4A, MP4, MOV) mostly begins with its brand, which may be
# that of a picture; without it, with a box whose size is below 512 MB, so that no text is taken
# for it.
SIGNS = re.compile(
    rb"""
      (?P<WAV>       RIFF .{4} WAVE | RF64 .{4} WAVE )
    | (?P<AU>        \.snd )
    | (?P<FLAC>      fLaC )
    | (?P<Speex>     OggS .{24} Speex )
    | (?P<Ogg_FLAC>  OggS .{24} \x7fFLAC )
    | (?P<OGG>       OggS )
    | (?P<AIFF>      FORM .{4} AIF[FC] )
    | (?P<W64>       riff \x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00 )
    | (?P<CAF>       caff \x00\x01 .{22} (?: lpcm | ulaw | alaw ) )
    | (?P<Coded_CAF> caff \x00\x01 )
    | (?P<MP4>       .{4} ftyp (?! avif | avis | crx | hei | hev | mif1 | msf1 )
                     | [\x00-\x1f] .{3} (?: mdat | moov | wide ) )
    | (?P<WMA>       \x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c )
    | (?P<Matroska>  \x1a\x45\xdf\xa3 )
    | (?P<APE>       MAC\x20 .[\x0e\x0f] )
    | (?P<WavPack>   wvpk )
    | (?P<TTA>       TTA1 [\x01\x02]\x00 )
    | (?P<Musepack>  MP\+ [\x07\x17] | MPCK )
    """,
    re.VERBOSE | re.DOTALL,
)
RIFF = (b"RIFF", b"RF64")
SEARCHED = 1 << 22  # bytes of an MP4, behind whose index its sound begins


def is_image(data: bytes) -> bool:
    """True for what begins as PNG and JPEG do."""
    return data.startswith(tuple(IMAGES))


def format_of(data: bytes) -> str:
    """The same as `kind_of`, and PNG or JPEG."""
    return next((name for sign, name in IMAGES.items() if data.startswith(sign)), kind_of(data))


def kind_of(data: bytes) -> str:
    """The format of a recording, as `SIGNS` names it, or MP3 or AAC; empty for anything else.

    Tags in front are passed over, and so is what lies before the first frame of an MP3.
    """
    if is_image(data):
        return ""
    start = mpeg.after_tags(data)
    if sign := SIGNS.match(data, start):
        name = str(sign.lastgroup).replace("_", " ")
        is_mp3 = name == "MP4" and mpeg.find_first(data[:SEARCHED]) is not None
        return "MP3" if is_mp3 else name  # libsndfile reads an MP3 in whatever it lies
    if data[start : start + 4] in RIFF:
        return ""  # a film
    if adts.begins(data, start):
        return "AAC"
    if mpeg.find_first(data) is not None or mpeg.is_free_format(data, start):
        return "MP3"
    if adts.find_first(data, start) is not None:
        return "AAC"
    return "MP3" if start else ""


def without_tags(data: bytes) -> bytes:
    """The file behind its ID3v2 tags."""
    return data[mpeg.after_tags(data) :] if data[:3] == b"ID3" else data
