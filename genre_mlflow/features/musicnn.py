"""The log-mel patches that musicnn (Pons and Serra 2019) was trained on."""

import numpy as np
import numpy.typing as npt

from genre_mlflow.features.audio import Samples
from genre_mlflow.features.settings import SpectrogramSettings
from genre_mlflow.features.spectrogram import check_sound, mel_power

SETTINGS = SpectrogramSettings(sample_rate=16_000, n_fft=512, hop_length=256, n_mels=96)
N_BANDS = SETTINGS.n_mels
PATCH_FRAMES = 187  # 3 s
LOUDER = 10_000  # powers are multiplied by this before 1 is added, so that silence is 0

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
