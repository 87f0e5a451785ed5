"""Frozen networks that read the levels of a spectrogram, and what is pooled of their features."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from genre_mlflow.errors import ModelError
from genre_mlflow.features.augmentation import mel
from genre_mlflow.features.musicnn import N_BANDS, from_bytes
from genre_mlflow.features.settings import MUSICNN_SPECTROGRAM as SOUND
from genre_mlflow.features.settings import PATCH_FRAMES, Shape
from genre_mlflow.model.pretrained.efficientnet_lite0 import FEATURE_BLOCKS, EfficientNetLite0
from genre_mlflow.model.pretrained.musicnn import CHANNELS, MusiCNN
from genre_mlflow.model.pretrained.remembered import Remembered
from genre_mlflow.model.pretrained.store import weights_file
from genre_mlflow.model.weights import to_safetensors

RECIPE = 1  # of what is read; raise it when the same pixels give other features
TINY = 1e-6
BANDS = 4  # of frequency
DECIBELS = 80.0  # of a picture, from its darkest level to its brightest
LOUDER_DB = 17.5  # what musicnn's sounds are beyond a picture's
HIGHEST_HZ = 11_025.0  # upper edge of a picture
PICTURE_S, N_PATCHES = 30.0, 4
PICTURE_BANDS = 128
AT_ONCE = 8  # pictures in musicnn, whose widest map has 9 MB for each


class FrozenReader(nn.Module):
    """A network that answers and does not learn. `size`: how many features it gives."""

    network: str  # by which `weights_file` knows its weights
    size: int
    memory: Path | None = None  # folder in which all that is read is kept, if any
    remembered: Remembered | None = None

    def train(self, mode: bool = True) -> Self:
        """Stay as in use: no dropout, and the batch statistics that were learnt."""
        return super().train(False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Levels uint8 `[B, 1, H, W]` to float32 `[B, size]`."""
        if self.memory is None:
            return self.read(pixels)
        if self.remembered is None:
            self.remembered = Remembered(self.memory / f"{self.network}-{self.digest}")
        return self.remembered.read(pixels, self.read)

    def read(self, pixels: Tensor) -> Tensor:
        """The same, by the network itself."""
        raise NotImplementedError

    @property
    def digest(self) -> str:
        """What its answers depend on, beside the pixels."""
        content = f"{type(self).__name__} {RECIPE}".encode() + to_safetensors(self.state_dict())
        return hashlib.sha256(content).hexdigest()[:24]


def readers_in(network: nn.Module) -> list[FrozenReader]:
    """The frozen parts of a network that read pictures."""
    return [part for part in network.modules() if isinstance(part, FrozenReader)]


def load_readers(network: nn.Module) -> None:
    """Give them the weights that lie on this machine, without the layers that they lack.

    Raises `ModelError` where these are not there, or not those of the network.
    """
    for reader in readers_in(network):
        file, body = weights_file(reader.network), reader.get_submodule("body")
        own, found = body.state_dict(), load_file(file)
        try:
            body.load_state_dict({n: v for n, v in found.items() if n in own}, strict=False)
        except RuntimeError as error:
            what = str(error).partition("\n")[0]
            raise ModelError(f"{file} holds no weights of this network: {what}") from error
        lacking = sorted(n for n in own.keys() - found.keys() if not n.endswith("batches_tracked"))
        if lacking:
            raise ModelError(f"{file} holds no weights of this network: it has no {lacking[0]}")


@contextmanager
def remembering(network: nn.Module, folder: Path) -> Iterator[None]:
    """Have the frozen parts read each picture once, and keep what they have read in a folder.

    They have their weights when the first picture comes, and keep them while the block runs.
    """
    readers = readers_in(network)
    for reader in readers:
        reader.memory = folder
    try:
        yield
    finally:
        kept = [reader.remembered for reader in readers if reader.remembered]
        for reader in readers:
            reader.memory = reader.remembered = None
        for remembered in kept:
            remembered.save()


class PhotographReader(FrozenReader):
    """EfficientNet-Lite0's middle blocks: mean and deviation over time in bands of frequency."""

    network = "efficientnet_lite0"
    body: EfficientNetLite0

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        body = EfficientNetLite0()
        body.blocks = body.blocks[: max(FEATURE_BLOCKS) + 1]
        del body.head, body.dropout, body.classes
        self.body = body.requires_grad_(False)
        self.train()
        with torch.no_grad():
            maps = body.features(torch.zeros(1, 3, *shape[1:]))
        self.size = sum(found.shape[1] for found in maps) * BANDS * 2

    def read(self, pixels: Tensor) -> Tensor:
        """Levels as grey."""
        found = []
        for features in self.body.features(pixels.float().expand(-1, 3, -1, -1)):
            # Not an adaptive pooling, of which MPS has only those of equal parts.
            bands = torch.stack([part.mean(dim=2) for part in parts(features, BANDS)], dim=2)
            found += [bands.mean(dim=3), (bands.var(dim=3, correction=0) + TINY).sqrt()]
        return torch.cat([part.flatten(1) for part in found], dim=1)


def parts(features: Tensor, n: int) -> list[Tensor]:
    """The rows of a map `[B, C, H, W]` in so many parts, which share a row where `n` parts none."""
    height = features.shape[2]
    return [features[:, :, i * height // n : -(-(i + 1) * height // n)] for i in range(n)]


class MusicReader(FrozenReader):
    """musicnn's maximum and mean over time, averaged over patches of 3 s.

    It was made for sound, and takes its own matrix, `[B, 2, 96, patches * 187]` in bytes. A picture
    of 30 s, `[B, 1, H, W]`, is stretched to the frames and mel bands that it knows, and brought to
    the level of its sounds.
    """

    network = "MSD_musicnn"
    size = 2 * CHANNELS
    body: MusiCNN
    to_bands: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        body = MusiCNN()
        del body.hidden, body.hidden_norm, body.tags, body.dropout, body.pool_norm
        self.body = body.requires_grad_(False)
        self.train()
        self.reads_pictures = shape[0] == 1
        bands = band_weights(shape[1]) if self.reads_pictures else torch.zeros(0)
        self.register_buffer("to_bands", bands, persistent=False)

    def read(self, pixels: Tensor) -> Tensor:
        """A few at once."""
        return torch.cat([self.pooled(part) for part in pixels.split(AT_ONCE)])

    def pooled(self, pixels: Tensor) -> Tensor:
        """The features `[B, 1506]` of some tracks."""
        patches = self.seen(pixels[:, 0]) if self.reads_pictures else from_bytes(pixels)
        found = []
        for patch in patches.unbind(1):  # [B, 187, 96]
            features = self.body.features(patch)
            found.append(torch.cat([features.amax(dim=2), features.mean(dim=2)], dim=1))
        return torch.stack(found).mean(dim=0)

    def seen(self, levels: Tensor) -> Tensor:
        """Patches `[B, 4, 187, 96]` of pictures `[B, H, W]`."""
        frames = round(PICTURE_S * SOUND.sample_rate / SOUND.hop_length)
        bands = self.to_bands @ levels.float()  # [B, 96, W]
        bands = functional.interpolate(bands, frames, mode="linear")
        decibels = (bands / 255 - 1) * DECIBELS + LOUDER_DB
        log_mel = (1 + 10_000 * 10 ** (decibels / 10)).log10().mT  # [B, frames, 96]
        starts = torch.linspace(0, frames - PATCH_FRAMES, N_PATCHES).round().int().tolist()
        return torch.stack([log_mel[:, start : start + PATCH_FRAMES] for start in starts], dim=1)


def band_weights(rows: int) -> Tensor:
    """How musicnn's mel bands are made of a picture's rows, the highest first, `[96, rows]`.

    Each band lies between two rows, or on the outermost one.
    """
    places = (torch.arange(rows, dtype=torch.float64) + 0.5) * (PICTURE_BANDS / rows) + 0.5
    highest, musicnns_highest = mel(torch.tensor([HIGHEST_HZ, SOUND.highest_hz])).double()
    row_mels = places * (highest / (PICTURE_BANDS + 1))  # of rows, the lowest first
    step = musicnns_highest / (N_BANDS + 1)
    band_mels = torch.arange(1, N_BANDS + 1, dtype=torch.float64) * step
    position = (band_mels[:, None] >= row_mels).sum(dim=1).clamp(1, rows - 1)  # the row above
    below, above = row_mels[position - 1], row_mels[position]
    share = ((band_mels - below) / (above - below)).clamp(0, 1)
    weights = torch.zeros(N_BANDS, rows, dtype=torch.float64)
    bands = torch.arange(N_BANDS)
    weights[bands, position - 1] = 1 - share
    weights[bands, position] += share
    return weights.flip(1).float()
