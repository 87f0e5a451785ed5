"""Sound is stretched and shifted as far as is asked, and stays as long as it was."""

import io
import itertools

import numpy as np
import pytest
import torch
from PIL import Image
from sounds import RATE, encode, tone

from genre_mlflow.errors import DataError
from genre_mlflow.features.augmentation import Augmenter
from genre_mlflow.features.preprocessing import Preprocessor
from genre_mlflow.features.settings import AugmentationSettings, PreprocessingSettings
from genre_mlflow.features.stretching import Stretcher, stretched

pytestmark = pytest.mark.slow  # librosa compiles at its first import, half a minute
PICTURES = PreprocessingSettings(image_size=64, image_width=64, segment_s=1.0)
BOTH = AugmentationSettings(time_stretch=0.3, pitch_shift=3.0, variants=3)
NAME = "5eed"


def loudest_hz(sound):
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return spectrum.argmax() * RATE / len(sound)


def clicks_s(sound):
    """Where a sound begins anew after silence, in seconds."""
    loud = np.abs(sound) > 0.2 * np.abs(sound).max()
    starts = [
        place for place in np.flatnonzero(loud) if not loud[max(0, place - 2000) : place].any()
    ]
    return np.array(starts) / RATE


@pytest.mark.slow
@pytest.mark.parametrize("stretch", [0.8, 1.0, 1.25])
@pytest.mark.parametrize("semitones", [-3.0, 0.0, 12.0])
def test_a_tone_is_higher_by_the_semitones_at_any_speed(stretch, semitones):
    sound = tone(3, hz=440)
    changed = stretched(sound, stretch, semitones)
    assert changed.shape == sound.shape
    assert changed.dtype == np.float32
    assert loudest_hz(changed) == pytest.approx(440 * 2 ** (semitones / 12), rel=0.01)


@pytest.mark.parametrize("stretch", [0.8, 1.25])
@pytest.mark.parametrize("semitones", [0.0, 4.0])
def test_beats_lie_apart_by_the_stretch_at_any_pitch(stretch, semitones):
    burst = tone(0.05, hz=1000)
    sound = np.zeros(4 * RATE, np.float32)
    for beat in range(8):
        start = beat * RATE // 2
        sound[start : start + len(burst)] = burst
    beats = np.diff(clicks_s(stretched(sound, stretch, semitones)))[:5].mean()
    assert beats == pytest.approx(0.5 * stretch, rel=0.03)


def test_what_becomes_longer_loses_both_ends_and_what_becomes_shorter_begins_again():
    halves = np.concatenate([tone(2, hz=440), tone(2, hz=1760)])
    longer, shorter = stretched(halves, 1.6, 0.0), stretched(halves, 0.5, 0.0)
    quarter = RATE  # samples
    heard = [loudest_hz(longer[i * quarter : (i + 1) * quarter]) for i in range(4)]
    assert heard == pytest.approx([440, 440, 1760, 1760], rel=0.02)
    heard = [loudest_hz(shorter[i * quarter : (i + 1) * quarter]) for i in range(4)]
    assert heard == pytest.approx([440, 1760, 440, 1760], rel=0.02)


def test_variants_have_the_segments_of_the_recording_and_differ_from_it_and_each_other():
    data = encode(np.concatenate([tone(1, hz=300), tone(1, hz=900), tone(1, hz=2700)]))
    variants = Stretcher(BOTH, PICTURES)(data, NAME)
    plain = Preprocessor(PICTURES)(data)
    assert variants.shape == (3, 3, 1, 64, 64)
    assert variants.dtype == torch.uint8
    for one, other in itertools.combinations([plain, *variants], 2):
        assert not torch.equal(one, other)
    assert torch.equal(Stretcher(BOTH, PICTURES)(data, NAME), variants)
    assert not torch.equal(Stretcher(BOTH, PICTURES)(data, "0ff"), variants)


def test_the_first_variants_are_the_same_however_many_there_are():
    few, many = (
        list(Stretcher(AugmentationSettings(time_stretch=0.2, variants=n), PICTURES).amounts(NAME))
        for n in (2, 50)
    )
    assert few == many[:2]
    stretches, semitones = map(set, zip(*many, strict=True))
    assert semitones == {0.0}
    assert 0.8 <= min(stretches) < 0.85
    assert 1.15 < max(stretches) <= 1.2


def test_images_are_warped_along_their_axes_by_the_same_amounts():
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    variants = Stretcher(BOTH, PICTURES)(buffer.getvalue(), NAME)
    assert variants.shape == (3, 1, 1, 64, 64)
    plain = Preprocessor(PICTURES)(buffer.getvalue()).float()
    for variant, amounts in zip(variants, Stretcher(BOTH, PICTURES).amounts(NAME), strict=True):
        stretch, semitones = torch.tensor([amounts]).T
        warped = Augmenter(BOTH, PICTURES).warped(plain, stretch, semitones)
        assert torch.equal(variant, warped.round().to(torch.uint8))


@pytest.mark.parametrize(("data", "reason"), [(b"", "is empty"), (b"RIFFxxxx", "damaged|neither")])
def test_what_cannot_be_decoded_is_refused(data, reason):
    with pytest.raises(DataError, match=reason):
        Stretcher(BOTH, PICTURES)(data, NAME)
