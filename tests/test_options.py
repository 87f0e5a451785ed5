"""Options: flat and nested are the same, and nothing that was said is lost."""

from dataclasses import dataclass

import pytest

from genre_mlflow.errors import SettingsError
from genre_mlflow.model.networks import NETWORKS
from genre_mlflow.model.networks.image_networks import ResNet18
from genre_mlflow.model.settings import ModelSettings
from genre_mlflow.options import TrainOptions, changes, check_recipe, declared, off_default
from genre_mlflow.settings import Settings, option
from genre_mlflow.training.recipes import BEST, PLAIN, RECIPES


@dataclass(frozen=True)
class Some(Settings):
    share: float = option(0.5, "A share.", low=0, below=1)
    count: int = option(3, "A count.", unit="pieces", low=1)
    rate: float = option(1.0, "A rate.", above=0, high=10)
    kind: str = option("a", "A kind.", choices=("a", "b"))
    sizes: tuple[int, ...] = option((1, 2), "Sizes.", unit="channels", low=1, high=8)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"share": 1.0}, r"share is 1\.0; allowed are 0 to below 1$"),
        ({"share": float("nan")}, r"share is nan; allowed are"),
        ({"count": 0}, r"count is 0; allowed are 1 pieces or more$"),
        ({"count": 1.5}, r"count is 1\.5; allowed is a whole number$"),
        ({"count": True}, r"count is True; allowed is a whole number$"),
        ({"rate": 0.0}, r"rate is 0\.0; allowed are values above 0 up to 10$"),
        ({"kind": "c"}, r"kind is 'c'; allowed are a, b$"),
        ({"kind": None}, r"kind is None; allowed is a text$"),
        ({"sizes": (1, 9)}, r"sizes is \(1, 9\); allowed are 1 to 8 channels$"),
        ({"sizes": (1, 2.0)}, r"sizes is \(1, 2\.0\); allowed is a list of whole numbers$"),
    ],
)
def test_a_value_out_of_range_or_of_another_type_is_refused(values, message):
    with pytest.raises(SettingsError, match=message):
        Some(**values)


def test_numbers_of_any_size_and_lists_are_taken():
    assert Some(count=10**400, sizes=[1, 8]).sizes == (1, 8)


def test_saved_settings_need_every_field_and_no_other():
    assert Some.from_saved({**vars(Some()), "sizes": [1, 2]}) == Some()
    with pytest.raises(SettingsError, match=r"lacking are share, unknown part$"):
        Some.from_saved({**{n: v for n, v in vars(Some()).items() if n != "share"}, "part": 1})


@pytest.mark.parametrize("network", NETWORKS)
def test_flat_and_nested_are_the_same(network):
    own = {"table": "mine.csv"} if network == "csv" else {}
    options = TrainOptions.from_flat({"network": network, "lr": 0.01, "split_seed": 3, **own})
    assert options.training.lr == 0.01
    assert options.split.split_seed == 3
    assert TrainOptions.from_flat(options.flat()) == options
    assert TrainOptions.from_saved(options.flat()) == options
    assert options.flat().keys() <= declared().keys()


def test_an_option_of_another_network_is_refused_unless_at_its_default():
    assert TrainOptions.from_flat({"network": "resnet18", "widths": (64, 64, 64)})
    message = (
        r"widths is 4,8, but network resnet18 has no such option; its own are dropout, weights, "
        r"freeze$"
    )
    with pytest.raises(SettingsError, match=message):
        TrainOptions.from_flat({"network": "resnet18", "widths": (4, 8)})


def test_another_network_takes_along_what_both_have():
    options = TrainOptions.from_flat({"widths": (4, 8), "dropout": 0.2})
    changed = options.changed(network="resnet18", lr=0.1)
    assert changed.family == ResNet18(dropout=0.2)
    assert changed.training.lr == 0.1


def test_paths_are_absolute_whatever_reads_them_later(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for weights, kept in (("none", "none"), ("imagenet", "imagenet"), ("w.pth", "/w.pth")):
        given = {"data": "music", "network": "resnet18", "weights": weights}
        options = TrainOptions.from_flat(given).with_absolute_paths()
        assert options.corpus.data == f"{tmp_path}/music"
        assert options.flat()["weights"] == (f"{tmp_path}{kept}" if "/" in kept else kept)


def test_options_recorded_by_another_version_are_refused():
    recorded = TrainOptions().flat()
    del recorded["dropout"]
    with pytest.raises(SettingsError, match="recorded by another version"):
        TrainOptions.from_saved(recorded)


@pytest.mark.parametrize(
    "make",
    [
        lambda: TrainOptions.from_flat({"network": "nope"}),
        lambda: TrainOptions().changed(network="nope"),
    ],
)
def test_an_unknown_network_is_one_line(make):
    with pytest.raises(SettingsError, match="network is 'nope'; allowed are vgg, crnn, resnet18"):
        make()


def test_settings_of_another_network_are_refused():
    with pytest.raises(SettingsError, match=r"network is 'resnet18', but its settings are .* VGG"):
        TrainOptions(model=ModelSettings(network="resnet18"))


def test_changes_are_told_as_text_before_and_now():
    assert changes({"lr": 0.1, "old": 1}, {"lr": 0.2, "new": 1}) == {"lr": ("0.1", "0.2")}


def test_paths_of_the_corpus_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {"data": "music", "split_dir": "lists", "groups": "artists.csv"}
    found = TrainOptions.from_flat(given).with_absolute_paths().flat()
    assert {name: found[name] for name in given} == {n: str(tmp_path / p) for n, p in given.items()}
    assert TrainOptions().with_absolute_paths() == TrainOptions()


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_gives_the_defaults_and_each_may_be_given_otherwise(name):
    recipe = RECIPES[name]
    options = TrainOptions.from_flat({"recipe": name}).flat()
    assert {key: options[key] for key in recipe} == recipe
    assert off_default(options).keys() == ({"recipe", *recipe} if recipe else set())
    for key in recipe.keys() - {"stem"}:  # textures have fewer rows than plain's blocks need
        ordinary = declared()[key].default
        assert TrainOptions.from_flat({"recipe": name, key: ordinary}).flat()[key] == ordinary


def test_a_recipe_says_nothing_of_options_that_a_network_does_not_have():
    options = TrainOptions.from_flat({"recipe": BEST, "network": "resnet18"})
    assert options.training.refit
    assert options.family == ResNet18()


def test_the_options_of_plain_may_be_given_to_a_network_that_lacks_some():
    given = TrainOptions.from_flat({"recipe": PLAIN}).flat()  # as `mlflow run . -e plain` does
    options = TrainOptions.from_flat({**given, "network": "crnn", "widths": (16, 32)})
    assert (options.family.stem, options.family.widths) == ("pixels", (16, 32))
    with pytest.raises(SettingsError, match=r"^crop is 0\.9, but network crnn has no such option"):
        TrainOptions.from_flat({**given, "network": "crnn", "crop": 0.9})


def test_what_is_fitted_at_once_takes_no_augmentation():
    with pytest.raises(SettingsError, match=r"network statistics is fitted at once .* out$"):
        TrainOptions.from_flat({"network": "statistics", "time_mask": 0.1})


def test_a_recipe_that_is_not_known_or_has_no_say_is_refused():
    with pytest.raises(SettingsError, match=r"recipe is 'b'; allowed are default, plain, best$"):
        TrainOptions.from_flat({"recipe": "b"})
    everything = TrainOptions().flat()  # as `mlflow run` passes on
    check_recipe(everything)
    for name in (PLAIN, BEST):
        for more in ({}, {"epochs": 7}):
            with pytest.raises(SettingsError, match=rf"its options are given.* -e {name}`$"):
                check_recipe({**everything, "recipe": name, **more})
        check_recipe(TrainOptions.from_flat({"recipe": name}).flat())
        said = TrainOptions.from_flat({"recipe": name}).flat()
        check_recipe({**said, "epochs": 7})  # as by its own entry point
        check_recipe({"recipe": name, **{key: everything[key] for key in RECIPES[name]}})
        check_recipe({"recipe": name, "epochs": 40})
