"""Pictures that are turned, that show nothing, or carry much beside."""

import struct
import warnings
import zlib

import numpy as np
import pytest
from pictures import encode
from PIL import Image, PngImagePlugin

from genre_mlflow.errors import DataError
from genre_mlflow.features.images import decode_image, decode_spectrogram, pixels_of
from genre_mlflow.features.preprocessing import content_of

RNG = np.random.default_rng(0)
PICTURE = Image.fromarray(RNG.integers(0, 256, (40, 50, 3), dtype=np.uint8))
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
}  # fmt: skip  # how a picture is stored that its EXIF turns upright


def chunk(name: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + check


def with_chunk(data: bytes, new: bytes) -> bytes:
    """Behind the header of a PNG, which ends at its 33rd byte."""
    return data[:33] + new + data[33:]


@pytest.mark.parametrize("turn", TURNS)
def test_a_turned_picture_is_its_upright_copy(turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    stored = PICTURE.transpose(TURNS[turn])
    assert content_of(encode(stored, exif=exif)) == content_of(encode(PICTURE))
    upright = decode_image(encode(stored, "JPEG", exif=exif, quality=95, subsampling=0))
    assert upright.size == PICTURE.size
    difference = np.asarray(upright).astype(int) - np.asarray(PICTURE)
    assert np.abs(difference).mean() < 12


def test_exif_that_cannot_be_read_turns_nothing():
    data = with_chunk(encode(PICTURE), chunk(b"eXIf", b"MM\0*" + b"\xff" * 30))
    assert pixels_of(decode_image(data)) == pixels_of(PICTURE)


CLEAR = Image.new("RGBA", (40, 40), (0, 0, 0, 0))


@pytest.mark.parametrize("image", [
    Image.new("RGB", (40, 40), "white"), Image.new("L", (40, 40), 0), Image.new("1", (40, 40), 1),
    Image.new("RGB", (40, 40), (10, 200, 30)), CLEAR, Image.new("I;16", (40, 40), 3000),
    Image.fromarray(np.random.default_rng(0).integers(250, 256, (40, 40), dtype=np.uint8)),
])  # fmt: skip
def test_a_picture_of_one_colour_is_no_spectrogram(image):
    with pytest.raises(DataError, match=r"^shows one colour throughout"):
        decode_spectrogram(encode(image))


def test_so_is_an_empty_jpeg():
    with pytest.raises(DataError, match=r"^shows one colour throughout"):
        decode_spectrogram(encode(Image.new("RGB", (40, 40), (3, 200, 100)), "JPEG", quality=30))


@pytest.mark.parametrize("n_dots", [1, 10])
def test_dirt_on_an_empty_picture_is_no_spectrogram(n_dots):
    pixels = np.full((144, 216), 255, np.uint8)
    pixels[np.arange(n_dots) * 9, np.arange(n_dots) * 20] = 0
    with pytest.raises(DataError, match=r"^shows one colour throughout"):
        decode_spectrogram(encode(Image.fromarray(pixels)))


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("inside", [0, 128, 200])
def test_an_empty_plot_in_its_frame_is_no_spectrogram(kind, inside):
    image = Image.new("L", (216, 144), 255)
    image.paste(inside, (27, 17, 194, 127))
    with pytest.raises(DataError, match=r"^shows one colour within its frame"):
        decode_spectrogram(encode(image, kind))


def test_a_picture_of_two_colours_in_a_frame_is_one():
    image = Image.new("L", (216, 144), 255)
    image.paste(0, (27, 17, 194, 127))
    image.paste(60, (27, 70, 194, 73))
    assert decode_spectrogram(encode(image)).size == (216, 144)


@pytest.mark.parametrize("size", [(1, 1), (30_000, 1), (7, 100)])
def test_what_is_too_small_to_show_a_sound_is_refused(size):
    image = Image.fromarray(RNG.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    with pytest.raises(DataError, match=r"pixels; a spectrogram has at least 8 x 8$"):
        decode_spectrogram(encode(image))


def test_a_dark_picture_with_a_bright_line_is_one():
    image = Image.new("L", (40, 40), 0)
    image.paste(60, (0, 20, 40, 21))
    assert decode_spectrogram(encode(image)).size == (40, 40)


LONG = b"x" * 1_500_000


@pytest.mark.parametrize("extra", [
    chunk(b"zTXt", b"Comment\0\0" + zlib.compress(LONG)),
    chunk(b"tEXt", b"Comment\0" + LONG),
    chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(LONG)),
    chunk(b"iCCP", b"profile\0\0" + zlib.compress(LONG)),
    100 * chunk(b"zTXt", b"Comment\0\0" + zlib.compress(LONG)),
])  # fmt: skip
def test_words_beside_the_picture_may_be_long(extra):
    assert pixels_of(decode_image(with_chunk(encode(PICTURE), extra))) == pixels_of(PICTURE)


def test_the_turn_may_stand_in_a_text():
    exif = Image.Exif()
    exif[0x0112] = 6
    raw = b"Exif\0\0" + exif.tobytes()[6:]
    text = b"Raw profile type exif\0\0" + zlib.compress(
        b"\nexif\n%8d\n" % len(raw) + raw.hex().encode() + b"\n"
    )
    data = with_chunk(encode(PICTURE.transpose(TURNS[6])), chunk(b"zTXt", text))
    assert pixels_of(decode_image(data)) == pixels_of(PICTURE)


def test_a_wrong_checksum_of_a_text_is_damage():
    wrong = chunk(b"tEXt", b"Comment\0hello")[:-4] + b"oops"
    with pytest.raises(DataError, match=r"^is damaged or truncated .*tEXt"):
        decode_image(with_chunk(encode(PICTURE), wrong))


def test_a_large_picture_is_one_line_and_no_warning(capfd):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 9_500, 10_000, 8, 2, 0, 0, 0))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with pytest.raises(DataError, match=r"^has 9500 x 10000 = 95,000,000 pixels; at most"):
            decode_image(PngImagePlugin._MAGIC + header + chunk(b"IEND", b""))
    assert capfd.readouterr().err == ""
