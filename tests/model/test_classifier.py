"""A classifier is one folder: what is saved is what is loaded, and damage is said to be damage."""

import json

import numpy as np
import pictures
import pytest
import torch
from greed import ASKED, TOO_MUCH, Greedy
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sounds import encode, tone

from genre_mlflow.errors import DataError, ModelError
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.memory import MemoryShortage
from genre_mlflow.model.classifier import (
    CONFIG_FILE,
    FAMILIARITY_FILE,
    FORMAT,
    WEIGHTS_FILE,
    Classifier,
    Prediction,
)
from genre_mlflow.model.doubt import NEVER, Doubt
from genre_mlflow.model.familiarity import Familiarity, statistics_of
from genre_mlflow.model.networks.vgg import VGG

GENRES = ("blues", "jazz", "rock & roll")


def make(seed: int = 0) -> Classifier:
    torch.manual_seed(seed)
    classifier = Classifier(
        GENRES,
        VGG(widths=(4, 8), convs_per_block=2, head_width=8, dropout=0.3),
        PreprocessingSettings(image_size=40, image_width=40, remove_border=False),
    )
    classifier.network.train()
    classifier.network(images(8))  # so that batch normalisation has seen something
    return classifier


def images(n: int, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 1, 40, 40), dtype=torch.uint8, generator=generator)


def png() -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 60), dtype=np.uint8)
    return pictures.encode(Image.fromarray(pixels))


@pytest.fixture
def folder(tmp_path):
    make().save(tmp_path / "model")
    return tmp_path / "model"


def test_loaded_is_saved(folder):
    saved, loaded = make(), Classifier.load(folder)
    assert loaded.genres == GENRES
    assert loaded.network_settings == saved.network_settings
    assert loaded.preprocessing == saved.preprocessing
    assert torch.equal(loaded.probabilities(images(5)), saved.probabilities(images(5)))
    assert loaded.predict(png()) == saved.predict(png())
    assert loaded.config() == saved.config()


def test_folder_holds_json_and_safetensors_and_no_pickle(folder):
    assert sorted(path.name for path in folder.iterdir()) == [CONFIG_FILE, WEIGHTS_FILE]
    assert json.loads((folder / CONFIG_FILE).read_text())["genres"] == list(GENRES)
    with safe_open(folder / WEIGHTS_FILE, "pt") as weights:
        assert set(weights.keys()) == set(make().network.state_dict())


def test_saving_again_replaces(folder):
    other = make(seed=5)
    other.save(folder)
    probabilities = Classifier.load(folder).probabilities(images(2))
    assert torch.equal(probabilities, other.probabilities(images(2)))
    assert len(list(folder.iterdir())) == 2


def test_probabilities_are_shares_of_one():
    probabilities = make().probabilities(images(16))
    assert probabilities.shape == (16, 3)
    assert probabilities.dtype == torch.float32
    assert (probabilities >= 0).all()
    assert torch.allclose(probabilities.sum(dim=1), torch.ones(16), atol=1e-6)


def test_an_answer_does_not_depend_on_the_rest_of_the_batch():
    classifier, pixels = make(), images(8)
    together = classifier.probabilities(pixels)
    alone = torch.cat([classifier.probabilities(one) for one in pixels.split(1)])
    assert torch.allclose(together, alone, atol=1e-6)


def test_an_answer_is_the_same_each_time_though_dropout_was_on():
    classifier = make()
    classifier.network.train()
    assert torch.equal(classifier.probabilities(images(4)), classifier.probabilities(images(4)))


def test_predict_takes_bytes_and_path(tmp_path):
    classifier = make()
    path = tmp_path / "song.png"
    path.write_bytes(png())
    from_bytes = classifier.predict(png())
    assert classifier.predict(path) == classifier.predict(str(path)) == from_bytes
    assert sum(from_bytes.probabilities.values()) == pytest.approx(1, abs=1e-6)
    expected = classifier.probabilities(classifier.preprocessor(path))[0]
    assert list(from_bytes.probabilities.values()) == pytest.approx(expected.tolist())


def test_segments_of_a_track_are_averaged():
    classifier = make()
    mean = classifier.probabilities(images(4)).mean(dim=0).tolist()
    assert list(classifier.predict_pixels(images(4)).probabilities.values()) == pytest.approx(mean)


def test_a_bad_image_is_named():
    with pytest.raises(DataError, match=r"^the input is empty$"):
        make().predict(b"")
    with pytest.raises(DataError, match=r"^absent\.png cannot be read: No such file"):
        make().predict("absent.png")


def test_prediction_ranks_genres():
    prediction = Prediction({"a": 0.2, "b": 0.5, "c": 0.3})
    assert (prediction.genre, prediction.confidence) == ("b", 0.5)
    assert list(prediction.top(2).items()) == [("b", 0.5), ("c", 0.3)]
    assert len(prediction.top(9)) == 3
    assert prediction.top(0) == {}


def change_config(folder, **changes):
    config = json.loads((folder / CONFIG_FILE).read_text())
    (folder / CONFIG_FILE).write_text(json.dumps({**config, **changes}))


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: (f / WEIGHTS_FILE).unlink(),
        lambda f: (f / CONFIG_FILE).unlink(),
        lambda f: (f / WEIGHTS_FILE).write_bytes((f / WEIGHTS_FILE).read_bytes()[:-9]),
        lambda f: (f / WEIGHTS_FILE).write_bytes(b""),
        lambda f: (f / WEIGHTS_FILE).write_bytes(b"\xff" * 100),
        lambda f: (f / CONFIG_FILE).write_text("{"),
        lambda f: (f / CONFIG_FILE).write_text("[]"),
        lambda f: (f / CONFIG_FILE).write_bytes(b"\xff\xfe"),
        lambda f: change_config(f, genres=["a", "b"]),
        lambda f: change_config(f, genres=3),
        lambda f: change_config(
            f,
            network={
                "name": "vgg",
                "widths": [4, 9],
                "convs_per_block": 2,
                "head_width": 8,
                "dropout": 0.3,
            },
        ),
        lambda f: change_config(f, network={"name": "vgg", "depth": 4}),
        lambda f: change_config(f, network={"name": "vgg", "widths": []}),
        lambda f: change_config(f, preprocessing={"image_size": 0}),
        lambda f: change_config(f, preprocessing=None),
    ],
)
def test_a_damaged_folder_is_said_to_be_damaged(folder, damage):
    damage(folder)
    with pytest.raises(ModelError, match=f"^{folder} holds no classifier that can be read: "):
        Classifier.load(folder)


def test_a_folder_that_is_not_there_is_no_classifier(tmp_path):
    with pytest.raises(ModelError, match="absent holds no classifier that can be read"):
        Classifier.load(tmp_path / "absent")


@pytest.mark.parametrize("number", [FORMAT - 1, FORMAT + 1])
def test_another_format_is_refused_in_one_line(folder, number):
    change_config(folder, format=number)
    message = f"^{folder} has format {number}; this version reads {FORMAT}: train the model anew"
    with pytest.raises(ModelError, match=message):
        Classifier.load(folder)


@pytest.mark.parametrize("part", ["network", "preprocessing"])
def test_no_default_of_today_fills_a_gap_in_a_model_s_settings(folder, part):
    settings = json.loads((folder / CONFIG_FILE).read_text())[part]
    del settings["dropout" if part == "network" else "fmax"]
    change_config(folder, **{part: settings})
    with pytest.raises(ModelError, match=r"lacking are (dropout|fmax), unknown none"):
        Classifier.load(folder)


def test_a_network_of_another_version_is_named(folder):
    change_config(folder, network={"name": "transformer"})
    with pytest.raises(ModelError, match=r"network is 'transformer'; this version has vgg, "):
        Classifier.load(folder)


def test_a_recording_is_answered_for_with_a_timeline():
    classifier = Classifier(
        GENRES,
        VGG(widths=(4, 8)),
        PreprocessingSettings(image_size=40, image_width=40, segment_s=1.0),
        "max",
    )
    data = encode(tone(3.0))
    found = classifier.predict(data)
    assert [(part.start_s, part.end_s) for part in found.timeline] == [(0, 1), (1, 2), (2, 3)]
    parts = classifier.probabilities(classifier.preprocessor(data))
    highest = parts.max(dim=0).values
    expected = (highest / highest.sum()).tolist()
    assert list(found.probabilities.values()) == pytest.approx(expected, abs=1e-6)
    last = list(found.timeline[2].probabilities.values())
    assert last == pytest.approx(parts[2].tolist(), abs=1e-6)


def test_settings_for_recordings_are_saved_with_the_model(tmp_path):
    settings = PreprocessingSettings(
        image_size=40, image_width=40, segment_s=7.0, features="mfcc", n_mels=64
    )
    Classifier(GENRES, VGG(widths=(4, 8)), settings, "vote").save(tmp_path)
    loaded = Classifier.load(tmp_path)
    assert loaded.preprocessing == settings
    assert loaded.aggregation == "vote"


SMALLER = "free some, or take a model of a smaller image_size or widths"


def test_a_network_that_lacks_memory_says_so():
    classifier = make()
    classifier.network = Greedy()
    with pytest.raises(MemoryShortage, match=rf"^out of memory on cpu {ASKED}; {SMALLER}$"):
        classifier.predict(png())


def test_a_network_that_is_too_large_to_load_is_no_damaged_one(folder, monkeypatch):
    monkeypatch.setattr(VGG, "build", lambda *_: torch.empty(TOO_MUCH))
    with pytest.raises(MemoryShortage, match=rf"^out of memory on cpu {ASKED}; {SMALLER}$"):
        Classifier.load(folder)


LIMITS = Doubt(0.5, 0.3)


def knowing(doubt=LIMITS, farthest=1.0):
    """A classifier that has limits, and knows the statistics of some pictures."""
    classifier = make()
    classifier.doubt = doubt
    known = statistics_of(images(12), classifier.preprocessing)
    mean, deviation = known.mean(dim=0), known.std(dim=0) + 1e-3
    references = (known - mean) / deviation
    classifier.familiarity = Familiarity(mean, deviation, references, farthest)
    return classifier


def test_when_it_does_not_know_is_saved_with_it(tmp_path):
    saved = knowing()
    saved.save(tmp_path)
    loaded = Classifier.load(tmp_path)
    assert (loaded.doubt, loaded.digest) == (saved.doubt, saved.digest)
    assert loaded.predict(png()) == saved.predict(png())
    assert loaded.predict(png()).foreign_score > 0


def test_what_it_is_familiar_with_is_part_of_its_name():
    one, other = knowing(), knowing()
    other.familiarity.references[0, 0] += 1
    assert len({one.digest, other.digest, make().digest}) == 3


@pytest.mark.parametrize("lacking", ["doubt", "farthest"])
def test_no_default_says_when_it_does_not_know(tmp_path, lacking):
    knowing().save(tmp_path)
    config = json.loads((tmp_path / CONFIG_FILE).read_text())
    del config[lacking]
    (tmp_path / CONFIG_FILE).write_text(json.dumps(config))
    with pytest.raises(ModelError, match=f"no classifier that can be read: '{lacking}'"):
        Classifier.load(tmp_path)


def test_without_the_music_that_it_is_familiar_with_it_is_damaged(tmp_path):
    knowing().save(tmp_path)
    (tmp_path / FAMILIARITY_FILE).unlink()
    with pytest.raises(ModelError, match="no classifier that can be read"):
        Classifier.load(tmp_path)


@pytest.mark.parametrize("array", ["mean", "deviation", "references"])
def test_familiar_music_of_another_width_is_damaged(tmp_path, array):
    knowing().save(tmp_path)
    arrays = load_file(tmp_path / FAMILIARITY_FILE)
    arrays[array] = arrays[array][..., 1:].contiguous()
    save_file(arrays, tmp_path / FAMILIARITY_FILE)
    with pytest.raises(ModelError, match=rf"familiar music has .*{array} .*; needed are \d+"):
        Classifier.load(tmp_path)


def test_who_has_no_limits_says_that_nobody_knows():
    found = make().predict(png())
    assert (found.unsure, found.foreign, found.likely, found.foreign_score) == (None,) * 4


@pytest.mark.parametrize(("sure_from", "unsure"), [(0.0, False), (NEVER, True)])
def test_an_answer_below_the_limit_is_unsure(sure_from, unsure):
    assert knowing(Doubt(sure_from, 0.3)).predict(png()).unsure is unsure


@pytest.mark.parametrize(("likely_from", "n"), [(0.0, 3), (1.0, 1)])
def test_likely_genres_are_those_above_the_limit_and_always_the_most_probable(likely_from, n):
    found = knowing(Doubt(0.5, likely_from)).predict(png())
    assert found.likely == tuple(found.top(n))


@pytest.mark.parametrize("farthest", [1e-3, 1e6])
def test_what_lies_farther_than_music_does_is_foreign(farthest):
    assert knowing(farthest=farthest).predict(png()).foreign is (farthest < 1)
