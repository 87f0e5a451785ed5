"""Take off the frame that plotting leaves around a spectrogram, and leave silence alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from genre_mlflow.errors import SettingsError

# A figure has a margin and a box or two; what has more frames inside frames is a pattern.
MAX_FRAMES = 8
# A frame is looked for in this many pixels: 20 ms of work, or four times that in odd pictures.
MAX_SEARCHED = 1_000_000

# A JPEG codes blocks of up to 16 pixels, so noise reaches no further from the edge of the content.
_JPEG_BLOCK = 16
# Colour is stored at half the resolution and bleeds this far over the edge of the content.
_JPEG_BLEED = 2
# A colour is the darkest or lightest of a picture if at most this share lies beyond it.
_EXTREME_SHARE = 0.01
# Wide integer modes hold 16-bit values: 257 steps make one of the 255 levels of a channel.
_WIDE_LEVEL = 257

_Depths = tuple[int, int, int, int]  # lines of frame at the left, top, right and bottom
_Box = tuple[int, int, int, int]  # left, top, right and bottom, as Pillow has them


@dataclass(frozen=True)
class RemoveBorder:
    """Crop the uniform frame off a PIL image; give back the image itself if it has none.

    A frame is a band of one colour, transparent or not, of any width on each side. On all four
    sides it may have any colour. On fewer sides a band may be silence, which is content: it stays
    if its colour is the darkest or the lightest to be found in the rest of the picture, or if
    it is darker than all the rest. Frames inside frames go too, so a second call changes nothing.
    A picture of one colour, or of more than `MAX_FRAMES` frames one in the other, has no content
    to find and comes back as it is.

    Of a picture beyond `MAX_SEARCHED` pixels, every second, third, ... line is looked at. Its frame
    may take lines of content with it, fewer than that step; one thinner than half a step may stay.

    `tolerance` is how far, in levels of 255 per channel (colours weighted by their opacity), noise
    may move a pixel of the frame. It plays no part when the frame is uniform to the last bit, as
    in a PNG: such a frame ends where its exact colour ends, and the content comes back whole.

    A frame cannot be told from a silent band of just its colour beside it: of exactly its colour
    in a PNG, near its colour in a JPEG. The band is then taken off with the frame. For
    the same reason a near-black band on three sides or fewer of a picture with dark silence stays.
    """

    tolerance: int = 12

    def __post_init__(self) -> None:
        valid = isinstance(self.tolerance, int) and not isinstance(self.tolerance, bool)
        if not valid or not 0 <= self.tolerance <= 127:
            raise SettingsError(
                f"tolerance is {self.tolerance!r}; allowed is a whole number from 0 to 127"
            )

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return `image` without its frame, in its own mode, or `image` itself."""
        box = whole = (0, 0, *image.size)
        for _ in range(MAX_FRAMES + 1):
            step = math.ceil(math.sqrt((box[2] - box[0]) * (box[3] - box[1]) / MAX_SEARCHED))
            depths = _find_frame(_every(image, box, step), self.tolerance)
            if depths is None:
                return image if box == whole else image.crop(box)
            box = _within(box, depths, step)
        return image


def _every(image: Image.Image, box: _Box, step: int) -> Image.Image:
    """Return what lies in `box`, thinned out to the middle one of each `step` lines."""
    if step <= 1:
        return image.crop(box)
    left, top, right, bottom = box
    size = max(1, (right - left) // step), max(1, (bottom - top) // step)
    matrix = (step, 0, left, 0, step, top)
    return image.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST)


def _within(box: _Box, depths: _Depths, step: int) -> _Box:
    """Return `box` without a frame of `depths` lines in it, counted in steps.

    A side begins with the line that was first seen not to be frame.
    """
    left, right = _between(box[0], box[2], depths[0], depths[2], step)
    top, bottom = _between(box[1], box[3], depths[1], depths[3], step)
    return left, top, right, bottom


def _between(start: int, stop: int, before: int, after: int, step: int) -> tuple[int, int]:
    """Return `start` and `stop` moved inwards by `before` and `after` of the lines looked at."""
    first = start + step // 2
    last = first + ((stop - start) // step - 1) * step
    return (
        first + before * step if before else start,
        last - after * step + 1 if after else stop,
    )


def _find_frame(image: Image.Image, tolerance: int) -> _Depths | None:
    """Return how deep the outermost frame of `image` is on each side, None without a frame."""
    if min(image.size) < 2:  # lines of one pixel are uniform whatever they show
        return None
    edges = _edges(image)
    shared = _middle(np.concatenate(edges, axis=1))
    # Noise may take single pixels of a narrow frame far off, but not the mean of a line.
    alike = [_deviation(edge, shared).mean() <= 1.5 * tolerance for edge in edges]
    if sum(alike) >= 3:  # the fourth side has no frame, or one too narrow to survive a JPEG
        return _measure(_painted(image), shared, tolerance, alike)
    for edge in edges:
        colour = _middle(edge)
        if _deviation(edge, colour).max() <= tolerance:
            depths = _measure(_painted(image), colour, tolerance)
            if depths:
                return depths
    return None


def _edges(image: Image.Image) -> list[np.ndarray]:
    """Return what the four outermost lines of `image` paint, each `[4, length]`."""
    width, height = image.size
    boxes = [(0, 0, 1, height), (0, 0, width, 1)]
    boxes += [(width - 1, 0, width, height), (0, height - 1, width, height)]
    return [_painted(image.crop(box)).reshape(4, -1) for box in boxes]


def _measure(
    pixels: np.ndarray, colour: np.ndarray, tolerance: int, alike: Sequence[bool] = (False,) * 4
) -> _Depths | None:
    """Return how deep the frame of `colour` is on each side, None if there is no such frame.

    `alike` tells the sides that are known to begin with a line of it, however noisy.
    """
    deviation = _deviation(pixels, colour)
    exact, near = _depths(deviation <= 0), _depths(deviation <= tolerance)
    if exact is None or near is None:
        return None
    left, top, right, bottom = (max(pair) for pair in zip(near, map(int, alike), strict=True))
    near = left, top, right, bottom
    is_noisy = _is_noisy(pixels, exact, near)
    depths = _widen(deviation, near, tolerance) if is_noisy else exact
    if depths is None or not any(depths):
        return None
    is_content = not all(depths) and _is_content(pixels, colour, depths, tolerance, is_noisy)
    return None if is_content else depths


def _depths(is_frame: np.ndarray) -> _Depths | None:
    """Count the lines at each side of `is_frame` `[height, width]` that are true throughout."""
    columns, rows = np.all(is_frame, axis=0), np.all(is_frame, axis=1)
    if columns.all():
        return None
    lines = (columns, rows, np.flip(columns), np.flip(rows))
    left, top, right, bottom = (int(np.argmin(line)) for line in lines)
    return left, top, right, bottom


def _is_noisy(pixels: np.ndarray, exact: _Depths, near: _Depths) -> bool:
    """Whether the lines that only resemble the frame are frame with noise, not content.

    A band of another single colour is content (or a second frame), and so is a single side that
    resembles a frame which is exact elsewhere: noise spares no side.
    """
    noisy = 0
    for side, (start, stop) in enumerate(zip(exact, near, strict=True)):
        lines = _from_side(pixels, side, near)[:, start:stop]
        noisy += bool((lines != lines[:, :, :1]).any())
    return noisy >= max(1, min(2, sum(depth > 0 for depth in near)))


def _widen(deviation: np.ndarray, near: _Depths, tolerance: int) -> _Depths | None:
    """Push each side from the last calm line over the noise, up to where the content sets in.

    None if the picture fades into its edges, as a quiet recording does: a frame ends sharply.
    """
    depths, sharp = [], 0
    for side, depth in enumerate(near):
        lines = _from_side(deviation, side, near)
        levels = lines[depth : depth + _JPEG_BLOCK + _JPEG_BLEED + 2].mean(axis=1)
        count = _noise_lines(levels, tolerance) if depth else 0
        sharp += depth > 0 and bool((levels[count : count + 2] > 2 * tolerance).any())
        depths.append(depth + count)
    if sharp < min(3, sum(depth > 0 for depth in depths)):
        return None
    left, top, right, bottom = depths
    return left, top, right, bottom


def _noise_lines(levels: np.ndarray, tolerance: int) -> int:
    """Count the lines of frame in `levels`, the mean deviation of each line from the frame."""
    # Ringing grows with the contrast of the edge that causes it.
    loud = levels > np.clip(levels.max(initial=0) / 3, tolerance, 2 * tolerance)
    if not loud.any():  # no edge in reach: what follows may as well be dark content
        return 0
    count = int(loud.argmax())
    for _ in range(_JPEG_BLEED):
        beyond = levels[count + 1 : count + 1 + _JPEG_BLEED]
        if beyond.size and levels[count] < beyond.max() / 2:
            count += 1
    return count


def _from_side(array: np.ndarray, side: int, depths: _Depths) -> np.ndarray:
    """Return `array` `[..., height, width]` as lines from `side` inwards, without their ends."""
    height, width = array.shape[-2:]
    left, top, right, bottom = depths
    if side % 2:  # the sides are 0 left, 1 top, 2 right, 3 bottom
        lines = array[..., left : width - right]
    else:
        lines = array[..., top : height - bottom, :].swapaxes(-1, -2)
    return lines[..., ::-1, :] if side >= 2 else lines


def _is_content(
    pixels: np.ndarray, colour: np.ndarray, depths: _Depths, tolerance: int, is_noisy: bool
) -> bool:
    """Whether a band of `colour` on some sides belongs to the picture within `depths`."""
    height, width = pixels.shape[1:]
    left, top, right, bottom = depths
    rest = pixels[:, top : height - bottom, left : width - right]
    if is_noisy and min(rest.shape[1:]) > 4 * _JPEG_BLEED:  # traces of the frame prove nothing
        rest = rest[:, _JPEG_BLEED:-_JPEG_BLEED, _JPEG_BLEED:-_JPEG_BLEED]
    # Silence is as opaque as the sound beside it.
    as_opaque = abs(rest[3] - colour[3]) <= tolerance
    if not as_opaque.any():
        return False
    if not as_opaque.all():
        rest = rest[:, as_opaque]
    lightness, own = _lightness(rest), _lightness(colour)
    if own <= lightness.min():
        return True
    if not (_deviation(rest, colour) <= tolerance).any():
        return False
    darker, lighter = (lightness < own - tolerance).mean(), (lightness > own + tolerance).mean()
    # An edge that is not of one colour to the bit may just be calm sound of any lightness.
    return bool(is_noisy or min(darker, lighter) < _EXTREME_SHARE)


def _painted(image: Image.Image) -> np.ndarray:
    """Return what `image` paints, `[4, height, width]`: colours times opacity, and opacity."""
    if image.mode.startswith(("I", "F")):
        levels = np.asarray(image, dtype=np.float32)
        if image.mode.startswith("I"):
            levels = np.divide(levels, _WIDE_LEVEL, dtype=np.float32)
        return np.stack([levels] * 3 + [np.full_like(levels, 255)])
    if image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        image = image.convert("RGB")
    painted = image.convert("RGBA")
    if image.has_transparency_data:
        painted = painted.convert("RGBa")
    return np.stack([np.asarray(band, dtype=np.int16) for band in painted.split()])


def _middle(pixels: np.ndarray) -> np.ndarray:
    """Return the median of `pixels` `[4, n]` in each channel."""
    return np.sort(pixels, axis=1)[:, pixels.shape[1] // 2]


def _deviation(pixels: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Return the largest difference of each of `pixels` `[4, ...]` from `colour` in a channel."""
    return abs(pixels - colour.reshape(4, *[1] * (pixels.ndim - 1))).max(axis=0)


def _lightness(pixels: np.ndarray) -> np.ndarray:
    """Return the luma of `pixels` `[4, ...]`, with ITU-R BT.601's weights to a sixteenth."""
    red, green, blue, _ = pixels
    return (5 * red + 9 * green + 2 * blue) / np.float32(16)
