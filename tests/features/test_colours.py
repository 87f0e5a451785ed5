"""Colour maps are found and undone; what has none is named."""

import matplotlib
import numpy as np
import pytest
from pictures import encode
from PIL import Image

from genre_mlflow.errors import DataError
from genre_mlflow.features.colours import COLOUR_MAPS, levels_of
from genre_mlflow.features.images import decode_image
from genre_mlflow.features.preprocessing import Preprocessor
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.features.spectrogram import render

TWICE = ("viridis", "inferno", "jet")  # have some colours twice, once they are rounded
RNG = np.random.default_rng(0)
# Smooth, as spectrograms are, and of all levels.
LEVELS = np.add.outer(np.arange(0, 128), np.arange(128)).astype(np.uint8)


def drawn(levels: np.ndarray, name: str, *, truncated: bool = False) -> Image.Image:
    """Levels in the colours of a map, rounded or, as by matplotlib's byte table, truncated."""
    colours = matplotlib.colormaps[COLOUR_MAPS[name]](np.arange(256))[:, :3]
    table = (255 * colours + (0 if truncated else 0.5)).astype(np.uint8)
    return Image.fromarray(table[levels])


@pytest.mark.parametrize("name", COLOUR_MAPS)
def test_levels_are_those_that_were_drawn(name):
    levels, found = levels_of(drawn(LEVELS, name))
    assert found == name
    assert levels.dtype == np.uint8
    assert np.abs(levels.astype(int) - LEVELS).max() <= (2 if name in TWICE else 0)


@pytest.mark.parametrize("name", COLOUR_MAPS)
def test_other_rounding_costs_two_levels_at_most(name):
    levels, found = levels_of(drawn(LEVELS, name, truncated=True))
    assert found == name
    assert np.abs(levels.astype(int) - LEVELS).max() <= 2


@pytest.mark.parametrize("name", COLOUR_MAPS)
@pytest.mark.parametrize("quality", [50, 95])
def test_a_jpeg_gives_nearly_the_same(name, quality):
    image = decode_image(encode(drawn(LEVELS, name), "JPEG", quality=quality))
    levels, found = levels_of(image)
    assert found == name
    assert np.corrcoef(levels.ravel(), LEVELS.ravel())[0, 1] > 0.97


def test_the_form_of_the_file_does_not_matter():
    rgb = drawn(LEVELS, "magma")
    for mode in ("RGBA", "P"):
        image = (
            rgb.convert(mode, palette=Image.Palette.ADAPTIVE) if mode == "P" else rgb.convert(mode)
        )
        assert np.abs(levels_of(image)[0].astype(int) - LEVELS).max() <= (2 if mode == "P" else 0)
    palette = decode_image(encode(render(LEVELS.astype(float))))
    assert palette.mode == "P"
    assert np.array_equal(levels_of(palette)[0], levels_of(palette.convert("RGB"))[0])


def test_white_margins_and_labels_do_not_hide_the_map():
    image = drawn(RNG.integers(0, 256, (200, 200)), "viridis")
    framed = Image.new("RGB", (240, 240), "white")
    framed.paste(image, (20, 20))
    assert levels_of(framed)[1] == "viridis"


@pytest.mark.parametrize("name", ["tab20", "hsv", "Set1"])
def test_colours_of_no_known_map_are_refused(name):
    colours = matplotlib.colormaps[name](RNG.random((64, 64)))
    image = Image.fromarray((255 * colours[..., :3]).astype(np.uint8))
    with pytest.raises(DataError, match=r"no known colour map \(magma, .*--colours kept"):
        levels_of(image)


def test_a_palette_of_fewer_colours_than_the_pixels_name_is_read():
    image = Image.fromarray(np.array([[0, 1], [2, 200]], np.uint8))
    image.putpalette([0, 0, 0, 90, 90, 90, 200, 200, 200])
    assert levels_of(image)[0].tolist() == [[0, 90], [200, 0]]


def test_each_row_of_a_real_image_stays_within_its_mel_band(real_data):
    path = sorted((real_data / "gtzan-mel").glob("jazz/*.png"))[0]
    settings = PreprocessingSettings(image_width=387, remove_border=False)
    tensor = Preprocessor(settings)(path)[0, 0].numpy()
    assert tensor.shape == (128, 387)
    levels, name = levels_of(decode_image(path.read_bytes()))
    assert name == "magma"
    bands = [levels[round((row + 0.5) * 385 / 128 - 0.5)] for row in range(128)]
    assert np.abs(tensor.astype(int) - bands).mean() < 3


def test_one_channel_or_three():
    data = encode(drawn(LEVELS, "plasma"))
    shapes = {
        c: Preprocessor(PreprocessingSettings(colours=c))(data).shape for c in ("undone", "kept")
    }
    assert shapes == {"undone": (1, 1, 128, 384), "kept": (1, 3, 128, 384)}


@pytest.mark.parametrize("width", [1, 31, 3073])
def test_a_width_out_of_range_is_refused(width):
    with pytest.raises(Exception, match=f"image_width is {width}; allowed are"):
        PreprocessingSettings(image_width=width)
