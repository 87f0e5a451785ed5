"""Frozen networks that others have trained; what is fitted here is the head that reads them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from genre_mlflow.errors import ModelError, SettingsError
from genre_mlflow.features.settings import MUSICNN, PreprocessingSettings, Shape
from genre_mlflow.model.networks.baselines import Fitted, cropped_statistics
from genre_mlflow.settings import as_text

if TYPE_CHECKING:
    from torch import nn

READABLE = {
    "features": "mel", "segment_s": 30.0, "n_mels": 128, "fmin": 0.0, "fmax": 0.0, "top_db": 80.0
}  # fmt: skip
KEPT_CHANNELS = 2  # of what is no picture, but musicnn's own matrix
LEAST = 64  # pixels each way; less is no picture of half a minute any more


@dataclass(frozen=True)
class Pretrained(Fitted):
    """Features of a frozen network, whose weights `genre-mlflow weights` brings here."""

    name: ClassVar[str]  # on the command line
    source: ClassVar[str]  # of its weights
    reader: ClassVar[str]  # its class in `model/pretrained/features.py`

    def __str__(self) -> str:
        return f"{self.source}, frozen, {self.estimator}"

    def check_input(self, shape: Shape) -> None:
        """Networks like these have seen larger pictures."""
        super().check_input(shape)
        if min(shape[1:]) < LEAST:
            raise SettingsError(
                f"the input has {shape[1]} x {shape[2]} pixels; network {self.name} needs "
                f"{LEAST} x {LEAST} or more"
            )

    def features(self, shape: Shape) -> "tuple[nn.Module, int]":
        """The network, with weights of chance until `start`."""
        from genre_mlflow.model.pretrained import features

        found = getattr(features, self.reader)(shape)
        return found, found.size

    def check_start(self) -> None:
        """Say at once that the weights are not here. Raises `ModelError`."""
        from genre_mlflow.model.pretrained.store import weights_file

        weights_file(self.source)

    def start(self, network: "nn.Module") -> None:
        """Give the frozen part what it has learnt. Raises `ModelError`."""
        from genre_mlflow.model.pretrained.features import load_readers

        load_readers(network)

    def origin(self) -> str:
        """Whose weights these are, and what they have seen."""
        from genre_mlflow.model.pretrained.store import described

        source, weights = described(self.source)
        return (
            f"Frozen features of {weights.name} ({source.citation}; {source.authors}; licence "
            f"{source.licence}), trained on {weights.trained_on}."
        )


@dataclass(frozen=True)
class PhotographFeatures(Pretrained):
    """EfficientNet-Lite0, trained on photographs; its middle blocks, by band of frequency."""

    crop = 0.5
    name = "efficientnet_lite0"
    source = "efficientnet_lite0"
    reader = "PhotographReader"


@dataclass(frozen=True)
class MusicFeatures(Pretrained):
    """musicnn, trained on the tags of songs; what it pools over time."""

    name = "musicnn"
    source = "MSD_musicnn"
    reader = "MusicReader"

    def check_input(self, shape: Shape) -> None:
        """Its own matrix, or a picture."""
        if shape[0] != KEPT_CHANNELS:
            super().check_input(shape)

    def check_pictures(self, pictures: PreprocessingSettings) -> None:
        """It knows seconds, mel bands and decibels, and takes those of the usual pictures."""
        if pictures.features == MUSICNN:
            return
        for name, value in READABLE.items():
            found = getattr(pictures, name)
            if found != value and (name, found) != ("fmax", pictures.sample_rate / 2):
                raise SettingsError(
                    f"{name} is {as_text(found)}, but network {self.name} reads pictures of "
                    f"{as_text(value)} alone"
                )


READERS = PhotographFeatures, MusicFeatures


@dataclass(frozen=True)
class AllFeatures(Fitted):
    """Both of these, and wide statistics: three heads that answer together."""

    def __str__(self) -> str:
        return f"pretrained, {self.estimator}"

    def readers(self) -> tuple[Pretrained, ...]:
        """The frozen networks, each with its head."""
        return tuple(kind(estimator=self.estimator, c=self.c) for kind in READERS)

    def check_input(self, shape: Shape) -> None:
        """What each of them takes."""
        for one in self.readers():
            one.check_input(shape)

    def check_pictures(self, pictures: PreprocessingSettings) -> None:
        """What each of them can read."""
        for one in self.readers():
            one.check_pictures(pictures)

    def build(self, n_genres: int, shape: Shape) -> "nn.Module":
        """Logits `[B, genres]` of uint8 levels `[B, 1, H, W]`; all equal until it is fitted."""
        from genre_mlflow.model.layers import Committee

        crop = PhotographFeatures.crop
        settings = {"estimator": self.estimator, "c": self.c}
        beside = cropped_statistics(n_genres, shape, crop, **settings)
        return Committee([*(one.build(n_genres, shape) for one in self.readers()), beside])

    def check_start(self) -> None:
        """Say at once which weights are not here. Raises `ModelError`."""
        missing = []
        for one in self.readers():
            try:
                one.check_start()
            except ModelError as error:
                missing.append(str(error))
        if missing:
            raise ModelError("; ".join(missing))

    def start(self, network: "nn.Module") -> None:
        """Give the frozen parts what they have learnt. Raises `ModelError`."""
        from genre_mlflow.model.pretrained.features import load_readers

        load_readers(network)

    def origin(self) -> str:
        """Whose weights these are."""
        return " ".join(one.origin() for one in self.readers())
