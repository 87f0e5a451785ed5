"""Tracks stretched in time and shifted in pitch: recordings as sound, images along their axes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import soxr
import torch
from torch import Tensor

from genre_mlflow.features.audio import Samples, is_recording
from genre_mlflow.features.augmentation import LEVELS, Augmenter
from genre_mlflow.features.preprocessing import Preprocessor, decoding
from genre_mlflow.features.settings import AugmentationSettings, PreprocessingSettings

RECIPE = 1  # raise it whenever this code gives other variants for the same settings


@dataclass(frozen=True)
class Stretcher:
    """Makes the variants of a track that `AugmentationSettings` ask for.

    How far each is stretched and shifted follows from the name that it is given, its number and
    the settings: the variants of a file are the same in every run.
    """

    augmentation: AugmentationSettings
    preprocessing: PreprocessingSettings

    def __call__(self, data: bytes, name: str) -> Tensor:
        """The variants of a file, uint8 `[variants, segments, *shape]`; `name`: of hexadecimals.

        They have the segments that `Preprocessor` finds in the file as it is. Raises `DataError`
        for what cannot be decoded.
        """
        preprocessor = Preprocessor(self.preprocessing)
        with decoding():
            if not is_recording(data):
                return self.of_image(preprocessor(data), name)
            sounds = (sound for sound, *_ in preprocessor.sounds(data))
            return torch.stack([self.of_sound(sound, name) for sound in sounds], dim=1)

    def of_sound(self, sound: Samples, name: str) -> Tensor:
        """Variants of a segment, `[variants, *shape]`."""
        preprocessor = Preprocessor(self.preprocessing)
        rows = []
        for stretch, semitones in self.amounts(name):
            changed = stretched(sound, stretch, semitones)
            rows.append(preprocessor.prepare(preprocessor.draw(changed)))
        return torch.cat(rows)

    def of_image(self, pixels: Tensor, name: str) -> Tensor:
        """Variants of a picture `[1, *shape]`, `[variants, 1, *shape]`."""
        stretch, semitones = torch.tensor(list(self.amounts(name))).unbind(1)  # [variants]
        many = pixels.float().expand(len(stretch), -1, -1, -1)
        augmenter = Augmenter(self.augmentation, self.preprocessing)
        warped = augmenter.warped(many, stretch, semitones)
        return warped.clamp(0, LEVELS).round().to(torch.uint8)[:, None]

    def amounts(self, name: str) -> Iterator[tuple[float, float]]:
        """Of each variant the factor of its duration, and by how many semitones it is higher."""
        own = self.augmentation
        for number in range(own.variants):
            uniform = np.random.default_rng([int(name, 16), number]).uniform(-1, 1, 2)
            stretch, semitones = uniform * (own.time_stretch, own.pitch_shift) + (1, 0)
            yield float(stretch), float(semitones)


def stretched(sound: Samples, stretch: float, semitones: float) -> Samples:
    """Sound that is `stretch` times as slow and so many semitones higher, and as long as before.

    What is longer than before loses both ends alike; what is shorter begins again. By librosa's
    phase vocoder (`librosa.effects.time_stretch`), once for both: a shift is a stretch that is
    played back faster, as `librosa.effects.pitch_shift` has it. Resampled by soxr. Float32
    `[samples]`.
    """
    from librosa import effects  # seconds, and whoever stretches nothing does without

    faster = 2 ** (semitones / 12)
    slow = effects.time_stretch(sound, rate=1 / (stretch * faster))
    changed = soxr.resample(slow, faster, 1.0, quality="HQ")
    return np.resize(changed[max(0, len(changed) - len(sound)) // 2 :], len(sound))
