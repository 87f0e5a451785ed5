"""The log-mel matrix that musicnn (Pons and Serra 2019) was trained on, and how it is kept."""

import numpy as np
import numpy.typing as npt
from torch import Tensor

from genre_mlflow.features.audio import Samples
from genre_mlflow.features.mel import mel_power
from genre_mlflow.features.settings import MUSICNN_SPECTROGRAM as SETTINGS
from genre_mlflow.features.settings import PATCH_FRAMES
from genre_mlflow.features.spectrogram import check_sound

N_BANDS = SETTINGS.n_mels
LOUDER = 10_000  # powers are multiplied by this before 1 is added, so that silence is 0
LOUDEST = 8.0  # of what is kept: a power of 10,000, beyond all sound of full scale
LEVELS = 2**16 - 1  # steps of 1.2e-4

LogMel = npt.NDArray[np.float32]


def musicnn_log_mel(samples: Samples) -> LogMel:
    """The logarithm of a sound's mel spectrogram as musicnn takes it, `log10(1 + 10,000 power)`.

    Parameters
    ----------
    samples
        Shape `[samples]`, mono at 16,000 Hz, 1 being full scale: the loudness counts here.

    Returns
    -------
    Shape `[1 + samples // 256, 96]`, float32, 0 or more: time first, then bands, the lowest first.

    Raises
    ------
    DataError
        If the samples are not one channel, are empty or hold NaN or infinity.

    Notes
    -----
    The mel spectrogram of librosa 0.11. The original rounds the power to 16 bits before, so that
    a power above 6.55 becomes infinite there; here it does not.
    """
    check_sound(samples)
    power = mel_power(samples, SETTINGS).T
    return np.log10(1 + np.float32(LOUDER) * power)


def musicnn_patches(log_mel: LogMel, n_patches: int = 0) -> LogMel:
    """Patches of three seconds, `[patches, 187, 96]`, of a log-mel matrix `[frames, 96]`.

    0 patches: as many as lie in it one after another, without the rest, as the original takes
    them. Another number: so many evenly over its length, the first at its beginning and the last
    at its end, which may overlap. What is shorter than a patch is repeated.
    """
    if len(log_mel) < PATCH_FRAMES:
        log_mel = np.resize(log_mel, (PATCH_FRAMES, log_mel.shape[1]))
    last = len(log_mel) - PATCH_FRAMES
    if n_patches:
        starts = np.linspace(0, last, n_patches).round().astype(int)
    else:
        starts = np.arange(0, last + 1, PATCH_FRAMES)
    return np.stack([log_mel[start : start + PATCH_FRAMES] for start in starts])


def as_bytes(patches: LogMel) -> npt.NDArray[np.uint8]:
    """Patches `[patches, 187, 96]` in 16 bits, uint8 `[2, 96, patches * 187]`, higher bytes first.

    The 8 bits of a picture are too coarse for a network that was trained on numbers.
    """
    log_mel = patches.reshape(-1, N_BANDS).T
    levels = np.rint(log_mel.clip(0, LOUDEST) * (LEVELS / LOUDEST)).astype(np.uint16)
    return np.stack([levels >> 8, levels & 255]).astype(np.uint8)


def from_bytes(kept: Tensor) -> Tensor:
    """Undo `as_bytes`, of several: `[B, 2, 96, patches * 187]` to `[B, patches, 187, 96]`."""
    high, low = kept.float().unbind(1)
    log_mel = (256 * high + low) * (LOUDEST / LEVELS)  # [B, 96, patches * 187]
    return log_mel.unflatten(2, (-1, PATCH_FRAMES)).permute(0, 2, 3, 1)
