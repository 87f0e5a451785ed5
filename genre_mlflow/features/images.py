"""From the bytes of a PNG or JPEG file to the picture as viewers show it."""

import io
import re
import struct
import zlib
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.JpegImagePlugin import jpeg_factory
from PIL.PngImagePlugin import PngImageFile

from genre_mlflow.errors import DataError
from genre_mlflow.features.border import RemoveBorder
from genre_mlflow.features.formats.kinds import OWN, WITH_FFMPEG

MAX_PIXELS = 50_000_000  # 200 MB once decoded; a spectrogram of an hour is a hundredth of it
SMALLEST = 8  # pixels of a side; nothing can be seen of a sound on fewer
ONE_COLOUR = 8  # of 255, how far the pixels of an empty picture differ, with a JPEG's rounding
EMPTY = 0.999  # share of one colour beyond which the rest is dirt
FRAMED = 0.98  # share of two colours from which a picture may be an empty plot in its frame, coded
BACKGROUND = (255, 255, 255, 255)  # what transparent parts of a plot are seen on
PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"  # other decoders would be open to every client
KNOWN = f"a PNG or JPEG image nor a recording ({', '.join(OWN + WITH_FFMPEG)})"
GREY_16_BIT = ("I", "I;16", "I;16B", "I;16L", "I;16N")
ORIENTATION = 0x0112  # tag of EXIF
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
WORDS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")  # chunks of a PNG that do not change its pixels
PROFILE = "Raw profile type exif"  # but this one may say how it is held
LONG_WORDS = 1 << 16  # bytes
DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError,
          struct.error, zlib.error)  # fmt: skip  # what Pillow raises for files that are damaged


def decode_spectrogram(data: bytes) -> Image.Image:
    """The same as `decode_image`, of what may be a spectrogram.

    Raises `DataError` for what shows nothing, too: one colour, also within a frame of another one,
    or a side of less than `SMALLEST`.
    """
    image = decode_image(data)
    width, height = image.size
    if min(width, height) < SMALLEST:
        raise DataError(
            f"has {width} x {height} pixels; a spectrogram has at least {SMALLEST} x {SMALLEST}"
        )
    commonest, second = shares_of_colours(image)
    if commonest >= EMPTY:
        raise DataError("shows one colour throughout, as an empty plot does")
    if commonest + second >= FRAMED and shares_of_colours(RemoveBorder()(image))[0] >= FRAMED:
        raise DataError("shows one colour within its frame, as an empty plot does")
    return image


def shares_of_colours(image: Image.Image) -> tuple[float, float]:
    """Which share of the pixels the commonest colour has, and the next one to it.

    A colour is `ONE_COLOUR` levels wide; of red, green and blue the one that varies most counts.
    """
    channels = np.reshape(to_rgb(image).histogram(), (3, 256)) / (image.width * image.height)
    return min(shares_of_levels(levels) for levels in channels)


def shares_of_levels(levels: npt.NDArray[np.float64]) -> tuple[float, float]:
    """The same of the shares of one channel's 256 levels."""
    within = np.convolve(levels, np.ones(ONE_COLOUR + 1), "valid")  # from each level on
    first = int(within.argmax())
    apart = abs(np.arange(len(within)) - first) > ONE_COLOUR
    return float(within[first]), float(within[apart].max())


def decode_image(data: bytes) -> Image.Image:
    """A whole image from its bytes, in the mode of its file, held as its EXIF says.

    Raises `DataError` for what is empty, no PNG or JPEG, damaged, truncated, or larger than
    `MAX_PIXELS`.
    """
    if not data:
        raise DataError("is empty")
    if not data.startswith((PNG, JPEG)):
        raise DataError(f"is neither {KNOWN} ({len(data):,} bytes)")
    try:
        # Not by `Image.open`, which warns of large ones on the standard error.
        if data.startswith(PNG):
            image: Image.Image = PngImageFile(io.BytesIO(without_words(data)))
        else:
            image = jpeg_factory(io.BytesIO(data))
        check_size(image)
        image.load()
    except DAMAGE as error:
        raise DataError(f"is damaged or truncated ({error})") from error
    return turned(image)


def check_size(image: Image.Image) -> None:
    """Refuse from the header alone what would fill the memory once decoded."""
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise DataError(
            f"has {width} x {height} = {width * height:,} pixels; at most {MAX_PIXELS:,} are read"
        )


def turned(image: Image.Image) -> Image.Image:
    """The picture as a viewer shows it."""
    turn = TURNS.get(orientation(image))
    return image if turn is None else image.transpose(turn)


def orientation(image: Image.Image) -> int:
    """How the picture is held, by the first directory of its EXIF; 1 where that does not say.

    Read here, since Pillow warns of what is damaged on the standard error.
    """
    exif = image.info.get("exif", b"")
    if not exif and PROFILE in image.info:  # as ImageMagick writes it into a PNG: lines of hex
        digits = "".join(str(image.info[PROFILE]).split()[2:])
        exif = bytes.fromhex(digits) if re.fullmatch("(?:[0-9a-f]{2})*", digits) else b""
    exif = exif.removeprefix(b"Exif\0\0")
    order: Literal["little", "big"] = "little" if exif[:2] == b"II" else "big"
    start = int.from_bytes(exif[4:8], order)
    n_entries = int.from_bytes(exif[start : start + 2], order)
    for n in range(n_entries):
        entry = exif[start + 2 + 12 * n :][:12]
        if len(entry) < 12:
            break
        if int.from_bytes(entry[:2], order) == ORIENTATION:
            return int.from_bytes(entry[8:10], order)
    return 1


def without_words(data: bytes) -> bytes:
    """A PNG without its texts and colour profile, which may be too long for Pillow.

    Only whole chunks with the right checksum are left out, so that damage stays to be told.
    """
    kept, position = [data[: len(PNG)]], len(PNG)
    while position + 12 <= len(data):
        size, name = struct.unpack_from(">I4s", data, position)
        end = position + 12 + size
        chunk = data[position:end]
        is_whole = end <= len(data) and chunk[-4:] == zlib.crc32(chunk[4:-4]).to_bytes(4)
        is_exif = chunk[8:].startswith(PROFILE.encode()) and size <= LONG_WORDS
        if name not in WORDS or is_exif or not is_whole:
            kept.append(chunk)
        position = end
    return b"".join([*kept, data[position:]])


def to_rgb(image: Image.Image) -> Image.Image:
    """Any mode to RGB; what is transparent is laid on white, 16-bit grey keeps its high bits."""
    if image.mode in GREY_16_BIT:
        levels = np.clip(np.asarray(image).astype(np.int64), 0, 65_535)
        image = Image.fromarray((levels >> 8).astype(np.uint8), mode=None)
    if image.has_transparency_data:
        seen = Image.new("RGBA", image.size, BACKGROUND)
        seen.alpha_composite(image.convert("RGBA"))
        image = seen
    return image.convert("RGB")


def pixels_of(image: Image.Image) -> bytes:
    """What two images have in common exactly when they look the same: size and RGB pixels."""
    rgb = to_rgb(image)
    return f"{rgb.width}x{rgb.height}:".encode() + rgb.tobytes()
