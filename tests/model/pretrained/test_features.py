"""What frozen networks read of a spectrogram, and that they stay frozen."""

import librosa
import numpy as np
import pytest
import torch
from PIL import Image
from sounds import encode

from genre_mlflow.errors import DataError, ModelError, SettingsError
from genre_mlflow.features.musicnn import musicnn_log_mel, musicnn_patches
from genre_mlflow.features.preprocessing import Preprocessor
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.model.networks.baselines import StatisticsBaseline
from genre_mlflow.model.networks.pretrained import AllFeatures, MusicFeatures, PhotographFeatures
from genre_mlflow.model.pretrained.features import (
    MusicReader,
    PhotographReader,
    band_weights,
    parts,
)
from genre_mlflow.options import TrainOptions

SHAPE = (1, 64, 96)


def pictures(n: int, shape: tuple[int, int, int] = SHAPE) -> torch.Tensor:
    return torch.randint(0, 256, (n, *shape), dtype=torch.uint8)


@pytest.mark.slow
@pytest.mark.parametrize("reader", [PhotographReader, MusicReader])
def test_a_reader_is_frozen_and_reads_each_picture_for_itself(reader):
    torch.manual_seed(0)
    found = reader(SHAPE)
    before = {name: values.clone() for name, values in found.state_dict().items()}
    pixels = pictures(10)
    with torch.no_grad():
        whole = found.train()(pixels)
        alone = torch.cat([found(one[None]) for one in pixels])
    assert whole.shape == (10, found.size)
    assert torch.allclose(whole, alone, atol=1e-4)
    assert not any(parameter.requires_grad for parameter in found.parameters())
    assert all(values.equal(before[name]) for name, values in found.state_dict().items())


def test_photographs_give_mean_and_deviation_over_time_of_four_bands():
    torch.manual_seed(0)
    reader, pixels = PhotographReader((1, 128, 160)), pictures(2, (1, 128, 160))
    with torch.no_grad():
        found = reader(pixels)
        first = reader.body.features(pixels.float().expand(-1, 3, -1, -1))[0]  # [2, 40, 16, 20]
    bands = first.unflatten(2, (4, 4)).mean(dim=3)  # [2, 40, 4, 20]
    n = 40 * 4
    assert torch.allclose(found[:, :n], bands.mean(dim=3).flatten(1), atol=1e-5)
    deviation = bands.std(dim=3, correction=0).flatten(1)
    assert torch.allclose(found[:, n : 2 * n], deviation, atol=1e-2)
    assert found.shape == (2, (40 + 80 + 112 + 192) * 4 * 2)


@pytest.mark.parametrize("rows", [64, 128, 200])
def test_bands_are_made_of_the_rows_of_their_frequency(rows):
    weights = band_weights(rows)
    assert torch.allclose(weights.sum(dim=1), torch.ones(96))
    assert (weights >= 0).all()
    centres = weights @ torch.arange(rows).float()  # rows from the top: high bands lie high
    assert (centres.diff() < 0).all()
    hz_of_band = librosa.mel_frequencies(98, fmin=0, fmax=8000)[1:-1]
    hz_of_row = np.interp(
        (rows - 0.5 - centres) * 128 / rows + 0.5, np.arange(130),
        librosa.mel_frequencies(130, fmin=0, fmax=11_025),
    )  # fmt: skip
    assert np.abs(hz_of_row[5:] / hz_of_band[5:] - 1).max() < 0.02


@pytest.mark.slow
def test_a_picture_is_stretched_to_the_log_mel_of_its_sound(monkeypatch):
    rate = 22_050
    time = np.arange(30 * rate) / rate
    sound = 0.3 * np.sin(2 * np.pi * (300 + 100 * time) * time) * (time % 1 < 0.5)
    data = encode(sound.astype(np.float32), "WAV", "PCM_16", rate)
    reader = MusicReader((1, 128, 384))
    seen = []
    features = reader.body.features
    monkeypatch.setattr(reader.body, "features", lambda x: seen.append(x) or features(x))
    with torch.no_grad():
        reader(Preprocessor(PreprocessingSettings())(data))
    assert [patch.shape for patch in seen] == [(1, 187, 96)] * 4
    true = musicnn_log_mel(librosa.resample(sound, orig_sr=rate, target_sr=16_000))
    assert np.corrcoef(seen[0].flatten(), true[:187].ravel())[0, 1] > 0.7
    assert np.corrcoef(seen[-1].flatten(), true[-188:-1].ravel())[0, 1] > 0.7


def sweep(seconds: float, rate: int = 16_000) -> np.ndarray:
    time = np.arange(int(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * (200 + 20 * time) * time)).astype(np.float32)


@pytest.mark.parametrize(("seconds", "segments"), [(1.5, 1), (30.0, 1), (40.0, 1), (61.0, 2)])
def test_musicnn_hears_what_its_own_matrix_of_the_sound_holds(seconds, segments):
    settings = PreprocessingSettings(features="musicnn")
    samples = sweep(seconds)
    kept = Preprocessor(settings)(encode(samples, "WAV", "FLOAT", 16_000))
    assert kept.shape == (segments, *settings.shape) == (segments, 2, 96, 4 * 187)
    torch.manual_seed(0)
    reader = MusicReader(settings.shape)
    with torch.no_grad():
        found = reader(kept)[0]
        heard = samples[: 480_000 if segments > 1 else None]
        if len(heard) < 480_000:
            heard = np.resize(heard, 480_000)
        patches = torch.from_numpy(musicnn_patches(musicnn_log_mel(heard), 4))
        features = reader.body.features(patches)
        expected = torch.cat([features.amax(2), features.mean(2)], dim=1).mean(dim=0)
    assert torch.allclose(found, expected, atol=1e-3)


def test_what_is_heard_is_drawn_for_people_alone():
    """A run's figure of mistakes shows songs, also where the network has no pictures of them."""
    preprocessor = Preprocessor(PreprocessingSettings(features="musicnn"))
    (segment,) = preprocessor.segments(encode(sweep(5.0), "WAV", "FLOAT", 16_000))
    assert segment.image.size == (387, 385)
    assert len(np.unique(segment.image)) > 20


def test_an_image_is_refused_by_what_hears_alone(tmp_path):
    image = tmp_path / "blues.png"
    Image.linear_gradient("L").save(image)
    hears = Preprocessor(PreprocessingSettings(features="musicnn"))
    with pytest.raises(DataError, match=r"^is no recording, and this model hears sound alone$"):
        hears(image)


@pytest.mark.parametrize("network", ["vgg", "statistics", "efficientnet_lite0", "pretrained"])
def test_other_networks_cannot_hear(network):
    with pytest.raises(SettingsError, match=r"^features musicnn are what network musicnn alone"):
        TrainOptions.from_flat({"network": network, "features": "musicnn"})


@pytest.mark.parametrize(
    ("name", "value"), [("n_mels", 64), ("image_size", 96), ("fmax", 8000.0), ("colours", "kept")]
)
def test_settings_of_pictures_are_refused_where_none_are_drawn(name, value):
    with pytest.raises(SettingsError, match=rf"^{name} is {value}, but features musicnn has"):
        TrainOptions.from_flat({"network": "musicnn", "features": "musicnn", name: value})


@pytest.mark.parametrize("family", [PhotographFeatures, MusicFeatures, AllFeatures])
def test_weights_that_are_not_here_are_told_with_the_command_that_brings_them(family):
    name = "musicnn" if family is MusicFeatures else "efficientnet_lite0"
    with pytest.raises(ModelError, match=rf"`genre-mlflow weights {name}` brings them there"):
        family().check_start()


@pytest.mark.parametrize("family", [PhotographFeatures, MusicFeatures, AllFeatures])
def test_small_pictures_and_colours_are_refused(family):
    with pytest.raises(SettingsError, match=r"needs one channel of dB: --colours undone$"):
        family().check_input((3, 128, 384))
    with pytest.raises(SettingsError, match=r"^the input has 32 x 384 pixels; network .* 64 x 64"):
        family().check_input((1, 32, 384))


@pytest.mark.parametrize("network", ["musicnn", "pretrained"])
@pytest.mark.parametrize(
    ("name", "value"),
    [("segment_s", 3.0), ("features", "mfcc"), ("fmax", 4000.0), ("top_db", 40.0), ("n_mels", 64)],
)
def test_pictures_that_would_be_misread_are_refused(network, name, value):
    with pytest.raises(SettingsError, match=rf"^{name} is .*network musicnn reads pictures of"):
        TrainOptions.from_flat({"network": network, name: value})
    assert TrainOptions.from_flat({"network": network, "fmax": 11_025.0})
    assert TrainOptions.from_flat({"network": "efficientnet_lite0", name: value})


def test_all_weights_that_are_missing_are_told_at_once():
    with pytest.raises(ModelError, match=r"weights efficientnet_lite0`.*; .*weights musicnn`"):
        AllFeatures().check_start()


@pytest.mark.parametrize("height", [3, 4, 6, 16, 21])
def test_parts_are_those_of_an_adaptive_pooling(height):
    features = torch.rand(2, 3, height, 5)
    ours = torch.stack([part.mean(dim=2) for part in parts(features, 4)], dim=2)
    theirs = torch.nn.functional.adaptive_avg_pool2d(features, (4, 5))
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_a_card_says_what_the_weights_have_seen():
    assert (
        "Million Song Dataset, which may hold songs and artists of GTZAN" in AllFeatures().origin()
    )
    assert "ImageNet, photographs: no music" in AllFeatures().origin()
    assert StatisticsBaseline().origin() == ""
