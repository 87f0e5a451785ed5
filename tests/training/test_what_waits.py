"""A step on a device: nothing waits for it, nothing travels, and MPS has all that it needs.

There is no such device here. `meta` stands for it: it holds no numbers, so that whatever would read
one from it raises, and torch tells every operation before it is done.
"""

from collections import Counter
from functools import cache
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.data.resident import ResidentTracks
from genre_mlflow.features.augmentation import Augmenter
from genre_mlflow.features.settings import AugmentationSettings, PreprocessingSettings
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.networks.vgg import VGG
from genre_mlflow.training.distributed import ALONE, Ranks
from genre_mlflow.training.loop import Loop, make_loop
from genre_mlflow.training.observer import Observer
from genre_mlflow.training.passes import Tally
from genre_mlflow.training.settings import TrainingSettings

META = torch.device("meta")
GENRES = ("low", "middle", "high")
PICTURES = PreprocessingSettings(image_size=64, image_width=210)
EVERYTHING = AugmentationSettings(
    time_mask=0.2, frequency_mask=0.2, roll=0.5, gain_db=3.0, noise_db=1.0, time_stretch=0.1,
    pitch_shift=1.0,
)  # fmt: skip
NETWORKS = {
    "vgg": VGG(widths=(4, 4)),
    "pixels": VGG(stem="pixels", widths=(4, 4), crop=1.0, statistics_share=0.0, head_width=8),
}
CASES = ["pixels", pytest.param("vgg", marks=pytest.mark.slow)]
# Of what torch 2.13 expects its own tests of MPS to fail on (torch.testing._internal.common_mps),
# what a step could come to need; and two that raise for lack of a kernel there.
NOT_ON_MPS = {
    "logspace", "put_", "frexp", "heaviside", "mode", "_linalg_eigh", "_linalg_svd",
    "adaptive_avg_pool3d", "_adaptive_avg_pool3d", "_ctc_loss", "grid_sampler_2d_backward",
    "float_power", "bincount", "histc",
}  # fmt: skip
POOLING = ("_adaptive_avg_pool2d", "adaptive_avg_pool1d")


class Told(TorchDispatchMode):
    """Writes down what is done on the device, and what is copied there."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: Counter[str] = Counter()
        self.dtypes: set[torch.dtype] = set()
        self.copies = 0
        self.pooled: list[tuple[tuple[int, ...], tuple[int, ...]]] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        made = [t for t in torch.utils._pytree.tree_leaves(result) if isinstance(t, Tensor)]
        given = [t for t in torch.utils._pytree.tree_leaves(args) if isinstance(t, Tensor)]
        if any(t.device == META for t in made + given):
            name = function.overloadpacket.__name__
            self.operations[name] += 1
            self.dtypes |= {t.dtype for t in made + given if t.device == META}
            travels = any(t.device != META and t.dim() for t in given)
            self.copies += travels or (name == "_to_copy" and given[0].device != META)
            if name in POOLING:
                self.pooled.append((tuple(given[0].shape), tuple(made[0].shape)))
        return result


def tracks_of(n: int) -> ResidentTracks:
    """Tracks of noise on the device."""
    shas = [f"{place}" for place in range(n)]
    manifest = pd.DataFrame({"sha256": shas, "genre": [GENRES[i % 3] for i in range(n)]})
    pixels = torch.randint(0, 255, (n, *PICTURES.shape)).to(torch.uint8).numpy()
    cache = SimpleNamespace(pixels=pixels, span={sha: (i, 1) for i, sha in enumerate(shas)})
    return ResidentTracks.of(TrackDataset(manifest, GENRES, cache), META)


def loop_of(network: str, tracks: TrackDataset) -> Loop:
    """A loop on the device, by the default recipe and all augmentation."""
    classifier = Classifier(GENRES, NETWORKS[network], PICTURES)
    augmenter = Augmenter(EVERYTHING, PICTURES)
    settings = TrainingSettings(batch_size=4)
    return make_loop(classifier, tracks.labels, settings, Observer(), META, augmenter, None, ALONE)


def read(self: Tally, ranks: Ranks) -> tuple[float, Tensor]:
    """The end of a pass, where it may wait for the device; here there is nothing to wait for."""
    return 1.0, torch.full(tuple(self.answers.shape), 1 / 3)


@cache
def told(network: str, n: int) -> Told:
    """What is done in passes of learning and of validation over so many tracks."""
    tracks = tracks_of(n)
    loop = loop_of(network, tracks)
    with pytest.MonkeyPatch.context() as patch, Told() as told:
        patch.setattr(Tally, "read", read)
        loop.run_pass("train", tracks, list(range(n)), loop.learn)
        loop.run_pass("val", tracks, range(n))
        loop.run_pass("val", tracks, range(n))
    return told


@pytest.mark.parametrize("network", CASES)
def test_a_step_reads_nothing_from_the_device_and_sends_nothing_there(network):
    told(network, 4)  # what is made once is made now
    few, many = told(network, 8), told(network, 16)  # two steps, and four
    backward = "convolution_backward"
    assert many.operations[backward] == 2 * few.operations[backward] > 0
    assert few.copies == many.copies > 0  # order and shares, at the beginning of a pass


@pytest.mark.parametrize("network", CASES)
def test_mps_has_what_a_step_needs(network):
    found = told(network, 4)
    assert {torch.float64, torch.complex128}.isdisjoint(found.dtypes)
    assert NOT_ON_MPS.isdisjoint(found.operations)
    for before, after in found.pooled:  # other sizes are refused there
        assert before[-2] % after[-2] == before[-1] % after[-1] == 0
