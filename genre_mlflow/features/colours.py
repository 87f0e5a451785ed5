"""Colour maps undone: from the colours of a spectrogram's image back to its levels."""

from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.spatial import KDTree

from genre_mlflow.errors import DataError
from genre_mlflow.features.images import to_rgb

# By matplotlib's names, of which grey is one map with two spellings.
COLOUR_MAPS = {
    "magma": "magma", "viridis": "viridis", "inferno": "inferno", "plasma": "plasma",
    "grey": "gray", "jet": "jet",
}  # fmt: skip
N_LEVELS = 256
# How far, of 441 from black to white, half of the pixels may lie from a map's colours. Magma lies
# 0 from itself as PNG, 18 as JPEG of quality 30, 28 from inferno, 32 from plasma.
FARTHEST = 23.0
SAMPLE = 4096  # pixels that tell the map

Levels = npt.NDArray[np.uint8]
Colours = npt.NDArray[np.uint8]  # [n, 3], red, green and blue


def levels_of(image: Image.Image) -> tuple[Levels, str]:
    """Undo the colour map of an image.

    Returns
    -------
    Levels, shape `[height, width]`, 0 for the map's first colour to 255 for its last (in a
    spectrogram linear in dB), each pixel that of the nearest colour; and the map's name. An image
    in the exact colours of a map gives exactly the levels that it was drawn from, but where a map
    repeats a colour.

    Raises
    ------
    DataError
        If the colours are those of no map in `COLOUR_MAPS`.
    """
    places, colours = palette_of(image)
    some, counts = np.unique(sample(places), return_counts=True)
    name = map_of(colours[some], counts)
    _, levels = tree(name).query(colours)
    return levels.astype(np.uint8)[places], name


def palette_of(image: Image.Image) -> tuple[npt.NDArray[np.intp], Colours]:
    """The place of each pixel's colour, `[height, width]`, in a list of distinct colours."""
    if image.mode == "P" and not image.has_transparency_data:
        places = np.asarray(image).astype(np.intp)
        listed = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        colours = np.zeros((int(places.max()) + 1, 3), np.uint8)  # a palette may be too short
        colours[: len(listed)] = listed[: len(colours)]
        return places, colours
    pixels = np.asarray(to_rgb(image)).astype(np.int32)
    codes = (pixels[..., 0] << 16) | (pixels[..., 1] << 8) | pixels[..., 2]
    distinct, inverse = np.unique(codes, return_inverse=True)
    colours = np.stack([distinct >> 16, distinct >> 8 & 255, distinct & 255], axis=1)
    return inverse.reshape(codes.shape), colours.astype(np.uint8)


def sample(places: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Some of the places, evenly spread; the same ones of the same image."""
    return places.ravel()[:: max(1, places.size // SAMPLE)]


def map_of(colours: Colours, counts: npt.NDArray[np.intp]) -> str:
    """The map that the pixels lie nearest to, from their colours and how many have each.

    Raises `DataError` where half of them are far from all maps.
    """
    far: dict[str, float] = {}
    for name in COLOUR_MAPS:
        far[name] = float(np.median(tree(name).query(colours)[0].repeat(counts)))
        if far[name] == 0:  # none that follows can be nearer
            break
    best = min(far, key=lambda name: far[name])
    if far[best] > FARTHEST:
        raise DataError(
            f"has the colours of no known colour map ({', '.join(COLOUR_MAPS)}); "
            "--colours kept trains on the colours as they are"
        )
    return best


@cache
def tree(name: str) -> KDTree:
    """The colours of a map, 0 to 255, by which the nearest is found."""
    import matplotlib

    colours = matplotlib.colormaps[COLOUR_MAPS[name]](np.arange(N_LEVELS))[:, :3]
    return KDTree(np.floor(255 * colours + 0.5))  # rounded, as the images of GTZAN are
