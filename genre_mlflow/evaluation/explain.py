"""Where in a song, and at what frequencies, a classifier finds its answer."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.errors import ModelError, SettingsError
from genre_mlflow.evaluation.explain_settings import AUTO, GRAD_CAM, METHODS, OCCLUSION
from genre_mlflow.evaluation.gradcam import class_maps
from genre_mlflow.evaluation.occlusion import Progress, cell_drops
from genre_mlflow.evaluation.song import along_song, frame_times
from genre_mlflow.features.mel import band_edges
from genre_mlflow.features.settings import MUSICNN, PreprocessingSettings
from genre_mlflow.model.aggregation import aggregate
from genre_mlflow.model.classifier import BATCH, Classifier, Prediction
from genre_mlflow.model.layers import learnt_part
from genre_mlflow.model.networks import name_of

Map = npt.NDArray[np.float32]
TINY = 1e-20  # the highest of a map where nothing speaks for a genre


@dataclass(frozen=True)
class Explanation:
    """What speaks for a genre in one track.

    `map`: float32 `[frames, bands]`, lowest band first; by `grad-cam` and `hires-cam` 0 to 1, its
    highest; by `occlusion` what hiding a cell takes from the logarithm of the genre's probability,
    in nats, negative where it speaks against it. `levels`: what the network gets, 0 to 255, of the
    same shape. `times`: seconds of the frames' centres; `edges`: of the bands in Hz, `[bands + 1]`,
    or numbers of rows where `features` are not mel. `is_timed`: whether the file itself tells its
    seconds; of an image the times and edges are those that the model draws. `weight`: the share of
    the answer that is explained; `alone`: the probability of the genre by that share alone.
    """

    genre: str
    method: str
    prediction: Prediction
    map: Map
    levels: Map
    times: npt.NDArray[np.float64]
    edges: npt.NDArray[np.float64]
    features: str
    is_timed: bool
    weight: float
    alone: float


def explain(
    classifier: Classifier,
    source: bytes | str | Path,
    genre: str | None = None,
    method: str = AUTO,
    others: Tensor | None = None,
) -> Explanation:
    """Explain what a classifier says of one image or recording.

    `genre`: for which genre it is asked, the answer unless told. `others`: pictures of other
    tracks, uint8 `[n, C, H, W]`, by which `occlusion` hides; else it hides by the mean. Raises
    `DataError` for what cannot be decoded, `SettingsError` for a genre that the classifier does
    not know, `ModelError` for a classifier that cannot be explained so.
    """
    method = method_for(classifier, method)
    check_genre(classifier, genre)
    pixels, times = classifier.read(source)
    prediction = classifier.predict_pixels(pixels, times)
    genre = genre or prediction.genre
    place = classifier.genres.index(genre)
    settings = classifier.preprocessing
    is_timed = times[-1][1] > 0
    if not is_timed:
        times = [(0.0, settings.segment_s)] * len(times)
    frames = frame_times(times, settings.segment_s / settings.shape[2])

    def drawn(parts: Tensor) -> Map:
        lowest_first = parts.flip(1).numpy()
        return along_song(lowest_first, times, settings.segment_s, frames)

    found = drawn(maps_of(classifier, pixels, place, method, others))
    weight, alone = 1.0, prediction.probabilities[genre]
    if method != OCCLUSION:
        found /= max(float(found.max()), TINY)
        weight, alone = learnt_answer(classifier, pixels, place)
    return Explanation(
        genre, method, prediction, found, drawn(pixels.float().mean(dim=1)), frames,
        edges_of(settings), settings.features, is_timed, weight, alone,
    )  # fmt: skip


def method_for(classifier: Classifier, method: str = AUTO) -> str:
    """The method that is asked for, or that suits the classifier. Raises `ModelError`."""
    family = classifier.network_settings
    name, is_convolved = name_of(family), bool(family.explained(classifier.preprocessing.shape))
    if family.unexplained():
        raise ModelError(f"network {name} {family.unexplained()}: there is nothing to explain")
    if classifier.preprocessing.features == MUSICNN:
        raise ModelError(
            f"features {MUSICNN} are numbers that nobody sees, and no part of them can be hidden; "
            "explained are models of pictures"
        )
    if method == AUTO:
        return GRAD_CAM if is_convolved else OCCLUSION
    assert method in METHODS, f"{method!r} is none of {METHODS}"
    if method != OCCLUSION and not is_convolved:
        raise ModelError(
            f"network {name} has no layer of convolutions to look at, as {method} does; "
            f"--method {OCCLUSION} explains it"
        )
    return method


def check_genre(classifier: Classifier, genre: str | None) -> None:
    """Raise `SettingsError` for one that the classifier does not know."""
    if genre is not None and genre not in classifier.genres:
        raise SettingsError(f"genre is {genre!r}; the model knows {', '.join(classifier.genres)}")


def maps_of(
    classifier: Classifier, pixels: Tensor, place: int, method: str, others: Tensor | None = None
) -> Tensor:
    """The map of each segment, float32 `[segments, H, W]`, of uint8 `[segments, C, H, W]`."""
    if method == OCCLUSION:
        return torch.stack([cell_drops(classifier, one, place, others) for one in pixels])
    batches = pixels.split(BATCH)
    places = [torch.full((len(batch),), place) for batch in batches]
    found = [class_maps(classifier, *pair, method) for pair in zip(batches, places, strict=True)]
    return torch.cat(found)


@torch.inference_mode()
def learnt_answer(classifier: Classifier, pixels: Tensor, place: int) -> tuple[float, float]:
    """The weight of what is learnt in epochs, and its own probability for a genre of one track."""
    network, weight = learnt_part(classifier.network.eval())
    logits = [network(b.to(classifier.device)).cpu() for b in pixels.split(BATCH)]
    shares = (torch.cat(logits) / classifier.temperature).softmax(dim=1)
    owners = torch.zeros(len(shares), dtype=torch.int64)
    return weight, float(aggregate(shares, owners, classifier.aggregation)[0, place])


def edges_of(settings: PreprocessingSettings) -> npt.NDArray[np.float64]:
    """Edges of the rows of a picture, the lowest first: in Hz for mel, else their numbers."""
    height = settings.shape[1]
    return band_edges(settings, height) if settings.features == "mel" else np.arange(height + 1.0)


def mean_maps(
    classifier: Classifier, tracks: TrackDataset, method: str, progress: Progress
) -> dict[str, Map]:
    """Of each genre the mean map of its segments for that genre, float32 `[frames, bands]`.

    Each segment's map has 1 as its highest, so that none counts for more than others.
    """
    sums = torch.zeros(len(classifier.genres), *classifier.preprocessing.shape[1:])
    done = 0
    for pixels, labels in tracks.batches(BATCH):
        progress(done, len(tracks))
        maps = class_maps(classifier, pixels, labels, method)
        highest = maps.amax(dim=(1, 2), keepdim=True)
        sums.index_add_(0, labels, maps / highest.clamp_min(TINY))
        done += len(labels)
    counts = torch.bincount(tracks.labels, minlength=len(classifier.genres))
    return {
        genre: (total / count).flip(0).T.numpy()
        for genre, total, count in zip(classifier.genres, sums, counts, strict=True)
        if count
    }
