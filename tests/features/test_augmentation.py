"""Pictures are changed as the options say, each for itself, and only where they say so."""

import librosa
import numpy as np
import pytest
import torch

from genre_mlflow.errors import SettingsError
from genre_mlflow.features.augmentation import Augmenter, hertz, mel
from genre_mlflow.features.settings import AugmentationSettings, PreprocessingSettings
from genre_mlflow.features.spectrogram import log_mel
from genre_mlflow.settings import options_of

PICTURES = PreprocessingSettings(image_size=128, image_width=96)
SOME = {
    "time_stretch": 0.3, "pitch_shift": 3.0, "roll": 1.0, "gain_db": 10.0, "noise_db": 3.0,
    "time_mask": 0.5, "frequency_mask": 0.5,
}  # fmt: skip


def augmenter(**strengths: float) -> Augmenter:
    return Augmenter(AugmentationSettings(**strengths), PICTURES)


def pictures(n: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(60, 196, (n, 1, 128, 96), dtype=torch.uint8, generator=generator)


def test_all_strengths_are_tried():
    assert SOME.keys() == options_of(AugmentationSettings).keys() - {"variants"}


def test_nothing_is_changed_unless_asked_for():
    pixels = pictures()
    state = torch.get_rng_state()
    assert augmenter()(pixels) is pixels
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", SOME)
def test_each_changes_each_picture_in_its_own_way_and_by_the_seed_alone(name):
    augment, one = augmenter(**{name: SOME[name]}), pictures(1)
    pixels = one.expand(4, -1, -1, -1)
    torch.manual_seed(0)
    changed = augment(pixels)
    torch.manual_seed(0)
    assert torch.equal(augment(pixels), changed)
    assert changed.shape == pixels.shape
    assert changed.dtype == torch.float32
    assert 0 <= changed.min() <= changed.max() <= 255
    assert not any(torch.equal(changed[0], other) for other in changed[1:])
    assert torch.equal(pixels[0], one[0])


def test_rolling_keeps_every_column_in_its_order():
    torch.manual_seed(0)
    pixels = pictures(20)
    shifts = set()
    for before, after in zip(pixels.float(), augmenter(roll=0.5)(pixels), strict=True):
        (shift,) = [s for s in range(96) if torch.equal(before.roll(s, dims=2), after)]
        shifts.add(shift)
    assert 0 <= min(shifts) < 12
    assert 36 < max(shifts) < 48


@pytest.mark.parametrize(("name", "axis"), [("time_mask", 2), ("frequency_mask", 1)])
def test_a_mask_is_one_part_of_the_mean_and_no_longer_than_allowed(name, axis):
    torch.manual_seed(0)
    pixels = pictures(40)
    lengths = []
    for before, after in zip(pixels.float(), augmenter(**{name: 0.25})(pixels), strict=True):
        hidden = (before != after).any(dim=0).any(dim=0 if axis == 2 else 1)
        places = hidden.nonzero().flatten()
        lengths.append(len(places))
        if lengths[-1]:
            assert places[-1] - places[0] + 1 == len(places)
            part = after.index_select(axis, places)
            assert torch.allclose(part, before.mean().expand_as(part))
    assert max(lengths) <= before.shape[axis] / 4
    assert max(lengths) > before.shape[axis] / 6


def test_gain_and_noise_are_in_decibels_of_the_picture():
    pixels = torch.full((400, 1, 128, 96), 128, dtype=torch.uint8)
    torch.manual_seed(0)
    gains = (augmenter(gain_db=8.0)(pixels) - 128)[:, 0, 0, 0] / 255 * PICTURES.top_db
    assert -8 <= gains.min() < -7.8
    assert 7.8 < gains.max() <= 8
    noise = (augmenter(noise_db=5.0)(pixels[:4]) - 128) / 255 * PICTURES.top_db
    assert noise.std() == pytest.approx(5, rel=0.02)
    assert noise.mean() == pytest.approx(0, abs=0.05)


def test_the_mel_scale_is_librosas_and_undone():
    hz = torch.linspace(0, 11_025, 100)
    np.testing.assert_allclose(mel(hz), librosa.hz_to_mel(hz.numpy()), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(hertz(mel(hz)), hz, rtol=1e-4, atol=1e-2)


def picture_of(sound: np.ndarray) -> torch.Tensor:
    """Its log-mel as levels, the highest band first, `[1, 1, 128, frames]`."""
    matrix = log_mel(sound.astype(np.float32), PICTURES)
    levels = (matrix[::-1] - matrix.max()) / PICTURES.top_db + 1
    return torch.from_numpy(np.ascontiguousarray(levels * 255))[None, None].float()


@pytest.mark.parametrize("semitones", [-5.0, 4.0])
def test_pitch_is_shifted_as_that_of_the_sound_would_be(monkeypatch, semitones):
    rate = PICTURES.sample_rate
    time = np.arange(2 * rate) / rate

    def chord(factor: float) -> np.ndarray:
        return sum(np.sin(2 * np.pi * factor * hz * time) for hz in (330, 1400, 3100))

    wide = Augmenter(AugmentationSettings(pitch_shift=abs(semitones)), PICTURES)
    sign = 1.0 if semitones > 0 else 0.0
    monkeypatch.setattr("genre_mlflow.features.augmentation.drawn", lambda p: torch.tensor([sign]))
    ours = wide(picture_of(chord(1.0)))[0, 0].mean(dim=1)
    theirs = picture_of(chord(2 ** (semitones / 12)))[0, 0].mean(dim=1)
    before = picture_of(chord(1.0))[0, 0].mean(dim=1)
    assert np.corrcoef(ours, theirs)[0, 1] > 0.9
    assert np.corrcoef(before, theirs)[0, 1] < 0.6


def test_time_is_stretched_around_the_centre(monkeypatch):
    pixels = torch.zeros(1, 1, 128, 97)
    pixels[..., [24, 48, 72]] = 255
    for sign, places in ((1.0, {12, 48, 84}), (0.0, {36, 48, 60})):
        monkeypatch.setattr(
            "genre_mlflow.features.augmentation.drawn", lambda p, s=sign: torch.tensor([s])
        )
        row = augmenter(time_stretch=0.5)(pixels)[0, 0, 64]
        assert places <= set(row.topk(5).indices.tolist())


@pytest.mark.parametrize(
    ("changes", "pictures", "message"),
    [
        (
            {"gain_db": 1.0},
            {"colours": "kept"},
            "gain_db needs one channel of dB: --colours undone",
        ),
        ({"noise_db": 1.0}, {"colours": "kept"}, "noise_db needs one channel of dB"),
        ({"pitch_shift": 1.0}, {"features": "mfcc"}, "mel bands, but features is 'mfcc'"),
    ],
)
def test_what_pictures_cannot_have_is_refused(changes, pictures, message):
    with pytest.raises(SettingsError, match=message):
        AugmentationSettings(**changes).check_input(PreprocessingSettings(**pictures))


@pytest.mark.parametrize(("name", "value"), [("time_mask", 1.0), ("roll", 1.1), ("gain_db", -1.0)])
def test_strengths_out_of_range_are_refused(name, value):
    with pytest.raises(SettingsError, match=f"{name} is {value}; allowed are 0"):
        AugmentationSettings(**{name: value})
