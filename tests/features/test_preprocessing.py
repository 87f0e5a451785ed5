"""Every image of any mode becomes one tensor; what is none is named as what it is."""

import contextlib
import re
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
import sounds
import torch
from greed import with_little_memory
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import encode
from PIL import Image

from genre_mlflow.errors import DataError, SettingsError
from genre_mlflow.features.images import KNOWN, MAX_PIXELS, decode_image, pixels_of, to_rgb
from genre_mlflow.features.preprocessing import Preprocessor, read
from genre_mlflow.features.settings import PreprocessingSettings

rng = np.random.default_rng(0)
COLOURS = Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8))
GREY = COLOURS.convert("L")

SQUARE = {"image_size": 32, "image_width": 32, "colours": "kept"}
preprocess = Preprocessor(PreprocessingSettings(**SQUARE))
whole = Preprocessor(PreprocessingSettings(**SQUARE, remove_border=False))


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(to_rgb(decode_image(data)))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "I;16"])
def test_png_of_any_mode_becomes_a_tensor(mode):
    if mode == "I;16":
        image = Image.fromarray(np.asarray(GREY).astype(np.uint16) * 257)
    elif mode == "PA":  # a palette whose entries have an alpha each; PNG holds them as P
        image = COLOURS.convert("P")
        image.info["transparency"] = bytes(range(256))
    else:
        image = COLOURS.convert(mode)
    tensor = preprocess(encode(image))
    assert tensor.shape == (1, 3, 32, 32)
    assert tensor.dtype == torch.uint8
    assert tensor.is_contiguous()
    assert tensor.float().std() > 5


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK", "YCbCr"])
def test_jpeg_of_any_mode_shows_the_same_picture(mode):
    smooth = Image.fromarray(np.tile(np.arange(0, 250, 5, dtype=np.uint8), (40, 1)))
    image = smooth.convert("RGB").convert(mode) if mode != "L" else smooth
    expected = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(pixels(encode(image, "JPEG", quality=95)) - expected).max() <= 6


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "I;16", "P"])
def test_a_mode_that_can_hold_a_grey_gives_that_grey(mode):
    level = 100
    if mode == "I;16":
        image = Image.fromarray(np.full((8, 8), level * 257, dtype=np.uint16))
    else:
        image = Image.new("L", (8, 8), level).convert(mode)
    assert pixels(encode(image)).tolist() == [[[level] * 3] * 8] * 8


@pytest.mark.parametrize(
    ("level", "shown"), [(0, 0), (255, 0), (256, 1), (32_768, 128), (65_535, 255)]
)
def test_16_bit_grey_keeps_its_high_bits(level, shown):
    image = Image.fromarray(np.full((4, 4), level, dtype=np.uint16))
    assert (pixels(encode(image)) == shown).all()


def test_what_is_transparent_is_seen_on_white():
    image = Image.new("RGBA", (8, 8), (200, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 8, 4))
    shown = pixels(encode(image))
    assert (shown[:4] == 255).all()
    assert (shown[4:] == (200, 0, 0)).all()


def test_half_transparent_is_half_white():
    shown = pixels(encode(Image.new("RGBA", (4, 4), (0, 0, 0, 128))))
    assert np.abs(shown.astype(int) - 127).max() <= 1


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_a_colour_named_as_transparent_is_seen_on_white(mode):
    image = Image.new("RGB", (8, 8), (0, 0, 0)).convert(mode)
    assert (pixels(encode(image)) == 0).all()
    transparent = (0, 0, 0) if mode == "RGB" else image.getpixel((0, 0))
    assert (pixels(encode(image, transparency=transparent)) == 255).all()


def test_bytes_and_path_give_the_same(tmp_path):
    data = encode(COLOURS)
    path = tmp_path / "song.png"
    path.write_bytes(data)
    expected = preprocess(data)
    assert torch.equal(preprocess(path), expected)
    assert torch.equal(preprocess(str(path)), expected)
    assert read(path) == data


def test_name_of_the_file_does_not_matter(tmp_path):
    path = tmp_path / "really a jpeg.png"
    path.write_bytes(encode(COLOURS, "JPEG"))
    assert preprocess(path).shape == (1, 3, 32, 32)


@pytest.mark.parametrize("size", [(8, 8), (8, 500), (500, 8), (387, 385)])
def test_any_size_becomes_the_size_asked_for(size):
    assert preprocess(encode(COLOURS.resize(size))).shape == (1, 3, 32, 32)


def test_resizing_is_antialiased():
    stripes = np.zeros((320, 320), dtype=np.uint8)
    stripes[:, ::2] = 255
    tensor = whole(encode(Image.fromarray(stripes)))
    assert (tensor.float() - 127.5).abs().max() <= 4  # the rim sees half a stripe more


def test_border_is_removed_if_the_settings_say_so():
    framed = Image.new("RGB", (70, 60), "white")
    framed.paste(COLOURS, (10, 10))
    assert torch.equal(preprocess(encode(framed)), preprocess(encode(COLOURS)))
    assert not torch.equal(whole(encode(framed)), whole(encode(COLOURS)))


def test_colour_channels_stay_in_order():
    image = Image.new("RGB", (40, 40), (10, 20, 30))
    image.paste("white", (20, 20, 40, 40))
    tensor = whole(encode(image))
    assert tensor[0, :, 5, 5].tolist() == [10, 20, 30]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "^is empty$"),
        (b"la la la", rf"^is neither {re.escape(KNOWN)} \(8 bytes\)$"),
        (bytes(100_000), rf"is neither {re.escape(KNOWN)} \(100,000 bytes\)"),
        (encode(COLOURS)[:-60], "^is damaged or truncated"),
        (encode(COLOURS)[:200], "^is damaged or truncated"),
        (encode(COLOURS, "JPEG")[:-200], "^is damaged or truncated"),
        (encode(COLOURS, "JPEG")[:700], "^is damaged or truncated"),
        (encode(COLOURS, "GIF"), "^is neither a PNG or JPEG image"),
        (encode(COLOURS, "TIFF"), "^is neither a PNG or JPEG image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "^is neither a PNG or JPEG image"),
    ],
)
def test_what_cannot_be_decoded_is_named(data, reason):
    with pytest.raises(DataError, match=reason):
        preprocess(data)


@pytest.mark.parametrize(
    ("name", "reason"), [("absent.png", "No such file"), ("", "Is a directory")]
)
def test_what_cannot_be_read_is_named(tmp_path, name, reason):
    with pytest.raises(DataError, match=f"^cannot be read: {reason}"):
        preprocess(tmp_path / name)


def png_by_header(width: int, height: int) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "size",
    [(MAX_PIXELS + 1, 1), (10_000, 5_001), (10_000, 10_000), (20_000, 10_000), (100_000, 100_000)],
)
def test_a_bomb_of_pixels_is_refused_from_its_header(size):
    with pytest.raises(DataError, match="pixels; at most 50,000,000 are read"):
        decode_image(png_by_header(*size))


def test_as_many_pixels_as_allowed_are_looked_at():
    with pytest.raises(DataError, match="is damaged or truncated"):  # and found not to be there
        decode_image(png_by_header(MAX_PIXELS // 10, 10))


WHOLE_FILES = {
    "png": encode(COLOURS),
    "palette": encode(COLOURS.convert("P"), transparency=bytes(range(256))),
    "jpeg": encode(COLOURS, "JPEG"),
    "progressive": encode(COLOURS, "JPEG", progressive=True),
}


@pytest.mark.parametrize("kind", WHOLE_FILES)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_file_cut_anywhere_is_refused_or_has_lost_no_pixel(kind, data):
    content = WHOLE_FILES[kind]
    cut = data.draw(st.integers(0, len(content) - 1))
    try:
        image = decode_image(content[:cut])
    except DataError:
        return
    assert pixels_of(image) == pixels_of(decode_image(content))


@pytest.mark.parametrize("kind", WHOLE_FILES)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_file_raises_nothing_but_data_error(kind, data):
    content = bytearray(WHOLE_FILES[kind])
    places = st.integers(0, len(content) - 1)
    for place in data.draw(st.lists(places, min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(DataError):
        assert preprocess(bytes(content)).shape == (1, 3, 32, 32)


def palette_of(image: Image.Image) -> Image.Image:
    return image.quantize(64, dither=Image.Dither.NONE)


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.convert("RGB"),
        lambda image: image.convert("RGBA"),
        lambda image: image.remap_palette(list(reversed(range(64)))),
    ],
    ids=["RGB", "RGBA", "palette in another order"],
)
def test_same_pixels_in_another_mode_are_the_same_picture(
    change: Callable[[Image.Image], Image.Image],
):
    image = palette_of(COLOURS)
    other = change(image)
    assert encode(other) != encode(image)
    assert pixels_of(decode_image(encode(other))) == pixels_of(image)


def test_pixels_of_knows_size_and_content():
    changed = COLOURS.copy()
    changed.putpixel((0, 0), (1, 2, 3))
    turned = Image.frombytes("RGB", (COLOURS.height, COLOURS.width), COLOURS.tobytes())
    assert len({pixels_of(image) for image in (COLOURS, changed, turned)}) == 3


@pytest.mark.parametrize("size", [31, 1025, 0, -1])
def test_image_size_out_of_range_is_refused(size):
    with pytest.raises(SettingsError, match=f"image_size is {size}; allowed are 32 to 1024 pixels"):
        PreprocessingSettings(image_size=size)


@pytest.mark.parametrize("size", [32, 1024])
def test_image_size_within_range_is_taken(size):
    assert PreprocessingSettings(image_size=size).image_size == size


def test_real_images_lose_nothing_but_size(real_data):
    full = Preprocessor(PreprocessingSettings(image_size=385, image_width=387, colours="kept"))
    for path in sorted(real_data.glob("gtzan-mel/*/*.00007.png")):
        with Image.open(path) as image:
            expected = np.asarray(
                image.convert("RGB").resize((387, 385), Image.Resampling.BILINEAR)
            )
        assert np.array_equal(full(path)[0].permute(1, 2, 0).numpy(), expected)


DECODE = """
data = read("large")
for decode in (content_of, Preprocessor(PreprocessingSettings(image_size=32, image_width=32))):
    try:
        decode(data)
        print("decoded")
    except DataError as error:
        print(error)
"""
LACK = "cannot be decoded: out of memory on cpu; free some, or make the file smaller"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["picture", "recording"])
def test_a_file_that_lacks_memory_cannot_be_decoded(tmp_path, kind):
    if kind == "picture":
        Image.linear_gradient("L").resize((7000, 7000)).convert("RGB").save(
            tmp_path / "large", "PNG"
        )
    else:
        (tmp_path / "large").write_bytes(sounds.encode(np.tile(sounds.tone(1.0), 1800), "FLAC"))
    imports = (
        "from genre_mlflow.errors import DataError\n"
        "from genre_mlflow.features.preprocessing import Preprocessor, content_of, read\n"
        "from genre_mlflow.features.settings import PreprocessingSettings"
    )
    done = with_little_memory(imports, DECODE, 120_000_000, tmp_path)
    assert done.returncode == 0, done.stderr
    content, tensor = re.sub(r" \(.* were asked for\)", "", done.stdout).splitlines()
    assert tensor == LACK
    assert content == (LACK if kind == "picture" else "decoded")  # sound is digested in pieces
