"""musicnn (Pons and Serra 2019, arXiv:1909.06654): tags of three seconds of music.

The original's `MSD_musicnn` and `MTT_musicnn`, in PyTorch: filters as high as most of a spectrum or
as long as its patch, dense layers over time, and a pooling of everything over time.
"""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from genre_mlflow.features.musicnn import N_BANDS
from genre_mlflow.model.pretrained.loading import loaded

EPSILON = 1e-3  # of every batch norm, as TensorFlow has it
TIMBRAL_HEIGHTS = (int(0.4 * N_BANDS), int(0.7 * N_BANDS))  # 38 and 67 bands
TIMBRAL_FILTERS = 204
TIMBRAL_FRAMES = 7
TEMPORAL_FRAMES = (128, 64, 32)
TEMPORAL_FILTERS = 51
FRONT = len(TIMBRAL_HEIGHTS) * TIMBRAL_FILTERS + len(TEMPORAL_FRAMES) * TEMPORAL_FILTERS  # 561
DENSE_FILTERS = 64
DENSE_FRAMES = 7
N_DENSE = 3
CHANNELS = FRONT + N_DENSE * DENSE_FILTERS  # 753: pooled over time
HIDDEN = 200
N_TAGS = 50

MSD_TAGS = (
    "rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s",
    "alternative rock", "jazz", "beautiful", "metal", "chillout", "male vocalists", "classic rock",
    "soul", "indie rock", "Mellow", "electronica", "80s", "folk", "90s", "chill", "instrumental",
    "punk", "oldies", "blues", "hard rock", "ambient", "acoustic", "experimental",
    "female vocalist", "guitar", "Hip-Hop", "70s", "party", "country", "easy listening", "sexy",
    "catchy", "funk", "electro", "heavy metal", "Progressive rock", "60s", "rnb", "indie pop",
    "sad", "House", "happy",
)  # fmt: skip
MTT_TAGS = (
    "guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast",
    "piano", "ambient", "beat", "violin", "vocal", "synth", "female", "indian", "opera", "male",
    "singing", "vocals", "no vocals", "harpsichord", "loud", "quiet", "flute", "woman",
    "male vocal", "no vocal", "pop", "soft", "sitar", "solo", "man", "classic", "choir", "voice",
    "new age", "dance", "male voice", "female vocal", "beats", "harp", "cello", "no voice", "weird",
    "country", "metal", "female voice", "choral",
)  # fmt: skip
TAGS = {"MSD_musicnn": MSD_TAGS, "MTT_musicnn": MTT_TAGS}


class Answer(NamedTuple):
    """What the network makes of patches.

    `logits` `[B, 50]`, whose sigmoid are the probabilities of the tags; `hidden` `[B, 200]`, the
    layer before them; `maximum` and `mean` over time of all features, `[B, 753]` each.
    """

    logits: Tensor
    hidden: Tensor
    maximum: Tensor
    mean: Tensor

    @property
    def pooled(self) -> Tensor:
        """Maximum and mean of each feature in turn, `[B, 1506]`, as the hidden layer gets them."""
        return torch.stack([self.maximum, self.mean], dim=2).flatten(1)


class Layer(nn.Module):
    """A convolution, then ReLU, then batch norm: in this order."""

    def __init__(self, n_in: int, n_out: int, frames: int, bands: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, (frames, bands))
        self.norm = nn.BatchNorm2d(n_out, eps=EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, in, time, bands]` to as many frames, by padding with zeros.

        Where the length of the kernel is even, one more of them at the end, as TensorFlow does.
        """
        spare = self.conv.kernel_size[0] - 1
        x = functional.pad(x, (0, 0, spare // 2, spare - spare // 2))
        return self.norm(functional.relu(self.conv(x)))


class MusiCNN(nn.Module):
    """Log-mel patches `[B, frames, 96]` to an `Answer`; 187 frames are what it was trained on."""

    def __init__(self) -> None:
        super().__init__()
        self.input_norm = nn.BatchNorm2d(1, eps=EPSILON)
        self.timbral = nn.ModuleList(
            Layer(1, TIMBRAL_FILTERS, TIMBRAL_FRAMES, height) for height in TIMBRAL_HEIGHTS
        )
        self.temporal = nn.ModuleList(
            Layer(1, TEMPORAL_FILTERS, frames, 1) for frames in TEMPORAL_FRAMES
        )
        widths = [FRONT, *[DENSE_FILTERS] * (N_DENSE - 1)]
        self.dense = nn.ModuleList(Layer(1, DENSE_FILTERS, DENSE_FRAMES, n) for n in widths)
        self.pool_norm = nn.BatchNorm1d(2 * CHANNELS, eps=EPSILON)
        self.hidden = nn.Linear(2 * CHANNELS, HIDDEN)
        self.hidden_norm = nn.BatchNorm1d(HIDDEN, eps=EPSILON)
        self.tags = nn.Linear(HIDDEN, N_TAGS)
        self.dropout = nn.Dropout(0.5)

    def forward(self, patches: Tensor) -> Answer:
        """All that is of use, `[B, ...]` each."""
        features = self.features(patches)
        maximum, mean = features.amax(dim=2), features.mean(dim=2)
        pooled = Answer(maximum, maximum, maximum, mean).pooled
        hidden = functional.relu(self.hidden(self.dropout(self.pool_norm(pooled))))
        hidden = self.hidden_norm(hidden)
        return Answer(self.tags(self.dropout(hidden)), hidden, maximum, mean)

    def features(self, patches: Tensor) -> Tensor:
        """What is pooled over time, `[B, 753, frames]`: timbral, temporal, then dense features."""
        x = self.input_norm(patches.unsqueeze(1))
        front = torch.cat([layer(x).amax(dim=3) for layer in (*self.timbral, *self.temporal)], 1)
        found, x = [front], front
        for i, layer in enumerate(self.dense):
            y = layer(x.transpose(1, 2).unsqueeze(1)).squeeze(3)  # [B, 64, frames]
            x = x + y if i else y
            found.append(x)
        return torch.cat(found, 1)


def load_musicnn(weights: Path) -> MusiCNN:
    """The network with the weights of a file that `store.weights_file` names, to evaluate.

    Raises `ModelError`.
    """
    return loaded(MusiCNN(), weights)
