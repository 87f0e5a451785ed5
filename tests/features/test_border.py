"""`RemoveBorder` takes frames off and leaves content, silence above all, as it is."""

from __future__ import annotations

import io
import math
import os
import pickle
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from genre_mlflow.errors import SettingsError
from genre_mlflow.features import RemoveBorder
from genre_mlflow.features.border import MAX_FRAMES, MAX_SEARCHED

REAL_DATA = os.environ.get("GENRE_REAL_DATA")
needs_real_data = pytest.mark.skipif(not REAL_DATA, reason="GENRE_REAL_DATA is not set")

SILENCE = (0, 0, 4)
WHITE = (255, 255, 255)
# Modes, and a frame colour for each that the content below never shows on an edge.
FRAMES = {
    "1": 1,
    "L": 255,
    "LA": (0, 0),
    "P": 255,
    "RGB": (255, 0, 200),
    "RGBA": (0, 0, 0, 0),
    "I;16": 65_535,
    "CMYK": (0, 255, 0, 0),
}

remove = RemoveBorder()
widths = st.tuples(*[st.integers(0, 40)] * 4)
some_widths = st.tuples(*[st.integers(1, 40)] * 4)
levels = st.integers(0, 255)
colours = st.tuples(levels, levels, levels)


def spectrogram(seed: int, width: int = 40, height: int = 30) -> Image.Image:
    """Return opaque noise, every edge of which shows dark and middling pixels."""
    noise = np.random.default_rng(seed).integers(10, 200, (height, width, 3), dtype=np.uint8)
    noise[:2, :2] = noise[-2:, -2:] = (20, 20, 20)
    noise[:2, -2:] = noise[-2:, :2] = (120, 140, 160)
    return Image.fromarray(noise)


def pad(image: Image.Image, widths: tuple[int, int, int, int], colour: object) -> Image.Image:
    """Return `image` with a frame of `colour`, `widths` pixels at left, top, right and bottom."""
    left, top, right, bottom = widths
    size = (left + image.width + right, top + image.height + bottom)
    padded = Image.new(image.mode, size, colour)
    if image.mode == "P":
        padded.putpalette(image.getpalette())
    padded.info = dict(image.info)
    padded.paste(image, (left, top))
    return padded


def is_same(one: Image.Image, other: Image.Image) -> bool:
    return (one.mode, one.size, one.info) == (other.mode, other.size, other.info) and (
        one.tobytes() == other.tobytes() and one.getpalette() == other.getpalette()
    )


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


@cache
def real_images() -> list[Image.Image]:
    paths = sorted((Path(REAL_DATA or "") / "gtzan-mel").glob("*/*.png"))
    images = [Image.open(path) for path in paths]
    for image in images:
        image.load()
    return images


def distance_to_edges(image: Image.Image, colour: tuple[int, int, int]) -> int:
    """Return how far the nearest of the outermost pixels of `image` is from `colour`."""
    pixels = np.asarray(image.convert("RGB"), dtype=int)
    edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    return int(abs(edges - colour).max(axis=1).min())


@given(seed=st.integers(0, 999), widths=some_widths, colour=colours)
def test_a_frame_of_any_colour_and_width_comes_off_exactly(seed, widths, colour):
    content = spectrogram(seed)
    assert is_same(remove(pad(content, widths, colour)), content)


@given(seed=st.integers(0, 999), widths=widths, colour=st.tuples(st.just(240), levels, levels))
def test_a_frame_on_some_sides_comes_off_unless_it_looks_like_silence(seed, widths, colour):
    content = spectrogram(seed)
    padded = pad(content, widths, colour)
    assert is_same(remove(padded), content)
    assert any(widths) or remove(padded) is padded


@pytest.mark.parametrize("mode", FRAMES)
@given(seed=st.integers(0, 99), widths=some_widths)
@settings(max_examples=20)
def test_every_mode_keeps_its_mode_and_palette(mode, seed, widths):
    if mode == "I;16":
        noise = np.random.default_rng(seed).integers(0, 60_000, (30, 40), dtype=np.uint16)
        noise[0, 0] = noise[-1, -1] = 0
        content = Image.fromarray(noise)
    elif mode == "P":
        content = spectrogram(seed).quantize(200)
        content.putpalette([*(content.getpalette() + [0] * 765)[:765], 0, 255, 0])
    else:
        content = spectrogram(seed).convert(mode)
    assert content.mode == mode
    assert is_same(remove(pad(content, widths, FRAMES[mode])), content)


@given(widths=some_widths, seed=st.integers(0, 99))
def test_a_transparent_frame_comes_off_whatever_colours_it_hides(widths, seed):
    content = spectrogram(seed).convert("RGBA")
    pixels = np.asarray(pad(content, widths, (0, 0, 0, 0))).copy()
    hidden = pixels[..., 3] == 0
    pixels[hidden, :3] = np.random.default_rng(seed).integers(0, 256, (hidden.sum(), 3))
    assert is_same(remove(Image.fromarray(pixels)), content)


def test_a_palette_with_a_transparent_entry_is_understood():
    content = spectrogram(0).quantize(200)
    content.putpalette((content.getpalette() + [0] * 768)[:768])
    content.info["transparency"] = 255
    assert is_same(remove(pad(content, (3, 4, 0, 1), 255)), content)


@given(seed=st.integers(0, 99), outer=some_widths, inner=some_widths, first=colours, second=colours)
def test_frames_inside_frames_go_and_a_second_call_changes_nothing(
    seed, outer, inner, first, second
):
    content = spectrogram(seed)
    once = remove(pad(pad(content, inner, second), outer, first))
    assert is_same(once, content)
    assert remove(once) is once


def nest(image: Image.Image, frames: int, width: int = 1) -> Image.Image:
    for at in range(frames):
        image = pad(image, (width,) * 4, [(250, 10, 30), (10, 250, 200)][at % 2])
    return image


@pytest.mark.parametrize("frames", range(MAX_FRAMES + 4))
def test_so_many_frames_come_off_and_of_more_none(frames):
    content = spectrogram(5)
    image = nest(content, frames, width=3)
    once = remove(image)
    assert is_same(once, content if frames <= MAX_FRAMES else image)
    assert remove(once) is once


def test_a_picture_of_nothing_but_frames_costs_no_more_than_a_few():
    image = nest(Image.new("RGB", (2, 2)), 499)
    started = time.process_time()
    assert remove(image) is image
    assert time.process_time() - started < 1.5  # 0.3 s; one look for each frame took 2 s


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1001, 1000), (2500, 1800), (20, 100_003), (7000, 7000)])
def test_a_large_picture_loses_its_frame_to_the_step_and_keeps_its_content(size):
    step = math.ceil(math.sqrt(size[0] * size[1] / MAX_SEARCHED))
    widths = (4 * step, 6 * step, 5 * step, step)
    image = Image.effect_noise(size, 100).point(lambda level: 10 + level // 2)
    image.paste(255, (0, 0, size[0], widths[1]))
    image.paste(255, (0, size[1] - widths[3], *size))
    image.paste(255, (0, 0, widths[0], size[1]))
    image.paste(255, (size[0] - widths[2], 0, *size))
    started = time.process_time()
    once = remove(image)
    assert time.process_time() - started < 1.5  # 0.1 s
    left, top, right, bottom = widths
    lost = size[0] - left - right - once.width, size[1] - top - bottom - once.height
    assert all(0 <= lines <= 2 * (step - 1) for lines in lost)
    assert once.getextrema()[1] < 255  # no line of the frame is left
    assert remove(once) is once


@pytest.mark.parametrize("side", range(4))
@pytest.mark.parametrize("silence", [SILENCE, (0, 0, 0), (10, 10, 10)])
def test_a_silent_band_on_one_side_is_content(side, silence):
    content = spectrogram(1)
    content.paste(silence, (10, 10, 16, 16))
    band = tuple(7 if at == side else 0 for at in range(4))
    image = pad(content, band, silence)
    assert remove(image) is image
    assert is_same(remove(pad(image, (3, 3, 3, 3), WHITE)), image)


def test_a_light_band_is_silence_where_the_colour_map_is_inverted():
    pixels = 255 - np.asarray(spectrogram(2).convert("L")) // 2
    pixels[5:9, 5:9] = 255
    image = pad(Image.fromarray(pixels), (0, 9, 0, 0), 255)
    assert remove(image) is image


def test_a_near_black_frame_beside_silence_ends_where_its_exact_colour_ends():
    content = pad(spectrogram(3), (0, 9, 0, 0), SILENCE)
    assert is_same(remove(pad(content, (5, 5, 5, 5), (0, 0, 0))), content)
    assert remove(pad(content, (5, 5, 5, 5), SILENCE)).size == (40, 30)


@given(size=st.tuples(*[st.integers(1, 40)] * 2), colour=colours)
def test_a_picture_of_one_colour_comes_back_as_it_is(size, colour):
    image = Image.new("RGB", size, colour)
    assert remove(image) is image


@given(seed=st.integers(0, 9), length=st.integers(1, 9))
def test_a_picture_one_pixel_wide_comes_back_as_it_is(seed, length):
    image = spectrogram(seed).crop((3, 3, 4, 3 + length))
    assert remove(image) is image


def smooth(seed: int) -> Image.Image:
    """Return a picture like a spectrogram: smooth blobs, bright enough at every edge."""
    small = np.random.default_rng(seed).integers(40, 160, (9, 9, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((97, 83), Image.Resampling.BICUBIC)


@given(
    seed=st.integers(0, 99),
    widths=st.tuples(*[st.integers(2, 40)] * 4),
    quality=st.sampled_from([60, 75, 85, 95]),
)
@settings(deadline=None)
def test_a_jpeg_loses_its_white_frame_to_the_pixel_or_two(seed, widths, quality):
    content = smooth(seed)
    image = remove(as_jpeg(pad(content, widths, WHITE), quality))
    assert all(0 <= got - own <= 4 for got, own in zip(image.size, content.size, strict=True))


def test_parameters_show_in_the_repr_and_survive_pickling():
    assert repr(RemoveBorder(tolerance=5)) == "RemoveBorder(tolerance=5)"
    assert pickle.loads(pickle.dumps(RemoveBorder(5))) == RemoveBorder(5)


@pytest.mark.parametrize("tolerance", [-1, 128, 1.5, "12", True, None])
def test_a_tolerance_out_of_range_is_refused(tolerance):
    with pytest.raises(SettingsError, match=r"tolerance is .*; allowed is .* from 0 to 127"):
        RemoveBorder(tolerance)


def test_importing_the_room_loads_no_numpy():
    code = "import sys, genre_mlflow.features; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
@needs_real_data
def test_real_spectrograms_come_back_as_the_same_object():
    assert len(real_images()) == 999
    assert [image for image in real_images() if remove(image) is not image] == []


@pytest.mark.slow
@needs_real_data
def test_real_spectrograms_lose_a_white_frame_exactly():
    for image in real_images():
        content = image.convert("RGB")
        assert is_same(remove(pad(content, (5, 12, 3, 8), WHITE)), content)


@pytest.mark.slow
@needs_real_data
@given(data=st.data(), widths=some_widths, colour=colours)
@settings(max_examples=60, deadline=None)
def test_real_spectrograms_lose_any_frame_that_differs_from_what_is_beside_it(data, widths, colour):
    content = data.draw(st.sampled_from(range(999)).map(real_images().__getitem__)).convert("RGB")
    assume(distance_to_edges(content, colour) > remove.tolerance)
    assert is_same(remove(pad(content, widths, colour)), content)


@needs_real_data
@given(index=st.integers(0, 998), widths=widths, colour=colours)
@settings(max_examples=60, deadline=None)
def test_real_spectrograms_lose_a_frame_on_some_sides(index, widths, colour):
    content = real_images()[index].convert("RGB")
    assume(distance_to_edges(content, colour) > remove.tolerance and max(colour) > 30)
    assume(abs(np.asarray(content, dtype=int) - colour).max(axis=2).min() > remove.tolerance)
    assert is_same(remove(pad(content, widths, colour)), content)


@needs_real_data
@given(
    index=st.integers(0, 998),
    widths=st.tuples(*[st.integers(2, 40)] * 4),
    quality=st.sampled_from([75, 85, 95]),
)
@settings(max_examples=40, deadline=None)
def test_real_spectrograms_as_jpeg_lose_a_white_frame_to_the_pixel_or_two(index, widths, quality):
    content = real_images()[index].convert("RGB")
    image = remove(as_jpeg(pad(content, widths, WHITE), quality))
    assert all(0 <= got - own <= 4 for got, own in zip(image.size, content.size, strict=True))
