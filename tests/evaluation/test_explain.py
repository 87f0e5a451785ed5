import numpy as np
import pytest
import torch
from explaining import GENRES, NETWORK, PICTURES, PLACES, learnt, pictures
from pictures import encode as png
from PIL import Image
from sounds import RATE, encode, tone

from genre_mlflow.errors import DataError, ModelError, SettingsError
from genre_mlflow.evaluation.explain import Explanation, explain, mean_maps, method_for
from genre_mlflow.evaluation.explain_settings import METHODS
from genre_mlflow.evaluation.gradcam import class_maps
from genre_mlflow.evaluation.song import along_song, frame_times
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.networks import family
from genre_mlflow.model.networks.fold_ensemble import FoldEnsemble

SMALL = {"widths": (4, 8), "crop": 0.5}


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return learnt(*pictures(64, seed=0))


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """A picture of each genre that nobody has learnt."""
    unseen, _ = pictures(2, seed=1)
    return {g: png(Image.fromarray(one[0].numpy())) for g, one in zip(GENRES, unseen, strict=True)}


def share_inside(found: Explanation, genre: str) -> float:
    """The share of a map's positive part that lies where a genre is bright; it is a tenth of it."""
    rows, columns = PLACES[genre]
    drawn = np.maximum(found.map.T[::-1], 0)  # as the picture, highest band first
    return float(drawn[rows, columns].sum() / drawn.sum())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("genre", GENRES)
def test_the_map_lies_where_the_genre_differs(classifier, files, genre, method) -> None:
    found = explain(classifier, files[genre], method=method)
    assert found.genre == found.prediction.genre == genre
    assert share_inside(found, genre) > 0.4
    other = next(name for name in GENRES if name != genre)
    assert share_inside(found, other) < 0.2


@pytest.mark.parametrize("method", METHODS)
def test_a_map_has_an_axis_of_seconds_and_one_of_hz(classifier, files, method) -> None:
    found = explain(classifier, files["rock"], method=method)
    assert found.map.shape == found.levels.shape == (64, 32)
    assert found.map.dtype == np.float32
    assert np.allclose(np.diff(found.times), 30 / 64)
    assert (found.times[0], found.times[-1]) == (15 / 64, 30 - 15 / 64)
    assert (found.edges[0], round(found.edges[-1])) == (0, 11_025)
    assert (np.diff(found.edges) > 0).all()
    assert not found.is_timed


def test_the_levels_are_what_the_network_gets_lowest_band_first(classifier, files) -> None:
    found = explain(classifier, files["rock"])
    pixels, _ = classifier.read(files["rock"])
    assert np.array_equal(found.levels.T[::-1], pixels[0, 0].numpy())


def test_a_recording_has_the_time_of_all_its_segments(classifier) -> None:
    found = explain(classifier, encode(tone(75.0)))
    assert found.is_timed
    assert len(found.prediction.timeline) == 3  # the last begins before the second ends
    assert len(found.map) == len(found.times) == 160
    assert found.times[-1] < 75 < found.times[-1] + found.times[0] * 2
    assert np.isfinite(found.map).all()


def test_another_genre_may_be_asked_for(classifier, files) -> None:
    found = explain(classifier, files["rock"], "blues")
    assert (found.genre, found.prediction.genre) == ("blues", "rock")
    with pytest.raises(SettingsError, match=r"^genre is 'jazz'; the model knows blues, rock$"):
        explain(classifier, files["rock"], "jazz")


def test_what_cannot_be_read_is_named(classifier, tmp_path) -> None:
    (tmp_path / "empty.mp3").touch()
    with pytest.raises(DataError, match=r"empty\.mp3 is empty"):
        explain(classifier, tmp_path / "empty.mp3")


def fresh(name: str, **options: object) -> Classifier:
    torch.manual_seed(0)
    pictures = PreprocessingSettings(image_size=64, image_width=96)
    return Classifier(GENRES, family(name)(**options), pictures)


NETWORKS = [
    ("vgg", SMALL),
    ("vgg", {**SMALL, "stem": "pixels", "ensemble": 2, "statistics_share": 0.0}),
    ("crnn", {"widths": (4, 8), "recurrent_width": 4}),
    ("resnet18", {}),
    ("resnet18", {"weights": "imagenet", "freeze": True}),
    ("efficientnet_b0", {}),
    ("mobilenet_v3_small", {}),
]


@pytest.mark.parametrize(("name", "options"), NETWORKS)
@pytest.mark.parametrize("method", ["grad-cam", "hires-cam"])
def test_every_family_of_convolutions_names_a_layer_that_gradients_reach(
    name, options, method
) -> None:
    classifier = fresh(name, **options)
    pixels = torch.randint(0, 256, (2, 1, 64, 96), dtype=torch.uint8)
    maps = class_maps(classifier, pixels, torch.tensor([0, 1]), method)
    assert maps.shape == (2, 64, 96)
    assert torch.isfinite(maps).all()
    assert (maps >= 0).all()
    # The sign of a fresh network is chance: one genre or the other has something.
    assert class_maps(classifier, pixels, torch.tensor([1, 0]), method).sum() + maps.sum() > 0


def test_where_a_network_averages_its_last_map_both_are_the_same() -> None:
    classifier = fresh("resnet18")
    pixels = torch.randint(0, 256, (2, 1, 64, 96), dtype=torch.uint8)
    one, other = (
        class_maps(classifier, pixels, torch.tensor([0, 1]), m) for m in ("grad-cam", "hires-cam")
    )
    assert torch.allclose(one, other, rtol=1e-3, atol=1e-6)


def test_an_ensemble_has_the_mean_of_its_members_maps() -> None:
    many = fresh("vgg", **SMALL, ensemble=3, statistics_share=0.0)
    pixels = torch.randint(0, 256, (2, 1, 64, 96), dtype=torch.uint8)
    places, single = torch.tensor([0, 1]), fresh("vgg", **SMALL, statistics_share=0.0)
    maps = []
    for member in many.network.members:
        single.network.load_state_dict(member.state_dict())
        maps.append(class_maps(single, pixels, places))
    assert torch.allclose(class_maps(many, pixels, places), torch.stack(maps).mean(dim=0))


def test_beside_statistics_the_map_tells_of_the_rest_of_the_answer(files) -> None:
    both = explain(fresh("vgg", **SMALL, statistics_share=0.75), files["rock"])
    assert both.weight == 0.25
    assert explain(fresh("vgg", **SMALL, statistics_share=0.0), files["rock"]).weight == 1


def fold_ensemble(name: str, **options: object) -> Classifier:
    torch.manual_seed(0)
    drawn = PreprocessingSettings(image_size=64, image_width=96)
    return Classifier(GENRES, FoldEnsemble.of(family(name)(**options), 2), drawn)


def test_networks_of_folds_are_explained_as_one_of_them(files) -> None:
    pixels, places = torch.randint(0, 256, (2, 1, 64, 96), dtype=torch.uint8), torch.arange(2)
    options = {**SMALL, "statistics_share": 0.75}
    many, single, maps = fold_ensemble("vgg", **options), fresh("vgg", **options), []
    for member in many.network.members:
        single.network.load_state_dict(member.state_dict())
        maps.append(class_maps(single, pixels, places))
    assert torch.allclose(class_maps(many, pixels, places), torch.stack(maps).mean(dim=0))
    found = explain(many, files["rock"])
    assert (found.method, found.weight) == ("grad-cam", 0.25)
    assert method_for(fold_ensemble("statistics")) == "occlusion"
    with pytest.raises(ModelError, match=r"^network fold-ensemble says the same whatever it is"):
        method_for(fold_ensemble("majority"))


@pytest.mark.parametrize(
    ("name", "method", "message"),
    [
        ("majority", "auto", "^network majority says the same whatever it is given: there is"),
        ("statistics", "grad-cam", "no layer of convolutions.*--method occlusion explains it$"),
    ],
)
def test_what_cannot_be_explained_is_told(name, method, message) -> None:
    with pytest.raises(ModelError, match=message):
        method_for(fresh(name), method)


def test_statistics_are_explained_by_hiding(files) -> None:
    assert explain(fresh("statistics"), files["rock"]).method == "occlusion"


def test_sound_that_is_never_drawn_cannot_be_explained() -> None:
    heard = Classifier(GENRES, family("musicnn")(), PreprocessingSettings(features="musicnn"))
    with pytest.raises(ModelError, match=r"^features musicnn are numbers that nobody sees"):
        method_for(heard)


def test_the_mean_map_of_a_genre_lies_where_it_differs(classifier) -> None:
    from explaining import corpus

    _, tracks = corpus(*pictures(20, seed=2))
    maps = mean_maps(classifier, tracks, "grad-cam", lambda done, total: None)
    assert maps.keys() == {*GENRES}
    for genre, one in maps.items():
        rows, columns = PLACES[genre]
        assert one.T[::-1][rows, columns].sum() / one.sum() > 0.4
        assert 0 <= one.min() <= one.max() <= 1


PARTS = np.stack([np.full((2, 10), value, np.float32) for value in (1, 3)])


def test_segments_lie_one_after_the_other_along_the_song() -> None:
    times = [(0.0, 10.0), (10.0, 20.0)]
    found = along_song(PARTS, times, 10.0, frame_times(times, 1.0))
    assert found.shape == (20, 2)
    assert found[:, 0].tolist() == [1] * 10 + [3] * 10


def test_where_segments_overlap_it_is_their_mean_and_silence_between_them_is_nothing() -> None:
    overlapping, apart = [(0.0, 10.0), (5.0, 15.0)], [(0.0, 10.0), (12.0, 22.0)]
    found = along_song(PARTS, overlapping, 10.0, frame_times(overlapping, 1.0))
    assert found[:, 0].tolist() == [1] * 5 + [2] * 5 + [3] * 5
    found = along_song(PARTS, apart, 10.0, frame_times(apart, 1.0))
    assert found[10:12, 0].tolist() == [0, 0]


def test_sound_that_was_repeated_is_shown_once() -> None:
    part = np.arange(10, dtype=np.float32).reshape(1, 1, 10)  # 5 s, twice
    found = along_song(part, [(0.0, 5.0)], 10.0, frame_times([(0.0, 5.0)], 1.0))
    assert found[:, 0].tolist() == [2.5, 3.5, 4.5, 5.5, 6.5]


def test_a_longer_last_segment_fills_its_time() -> None:
    times = [(0.0, 14.0)]
    found = along_song(PARTS[:1], times, 10.0, frame_times(times, 1.0))
    assert found[:, 0].tolist() == [1] * 14


def test_the_time_of_a_tone_is_found_in_a_recording() -> None:
    """The map of a song and its levels have one axis: sound in the last third is drawn there."""
    sound = np.concatenate([tone(20.0, hz=200), tone(10.0, hz=5000)])
    found = explain(Classifier(GENRES, NETWORK, PICTURES), encode(sound, rate=RATE))
    band = int(np.searchsorted(found.edges, 5000)) - 1
    late = found.times > 20.5
    assert found.levels[late, band].min() > found.levels[~late & (found.times < 19.5), band].max()
