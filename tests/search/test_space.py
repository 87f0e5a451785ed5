from pathlib import Path

import optuna
import pytest

from genre_mlflow.errors import SettingsError, StudyError
from genre_mlflow.options import TrainOptions, declared
from search.distributions import ends
from search.space import DEFAULTS, SEARCHABLE, canonical, load_space, make_space
from search.spaces import SPACES


def write(folder: Path, text: str, name: str = "mine.yaml") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", SPACES)
def test_built_in_spaces_search_dropout_and_the_learning_rate_by_factors(name: str) -> None:
    parameters = load_space(name).parameters
    assert {"dropout", "lr"} <= set(parameters)
    assert parameters["lr"].log
    assert load_space(name).nearest(TrainOptions())["lr"] == DEFAULTS["lr"]


def test_full_space_searches_what_the_small_one_does_and_more() -> None:
    more = set(load_space("full").parameters) - set(load_space("small").parameters)
    assert more == {
        "weight_decay", "mixup", "batch_size", "schedule", "widths", "head_width",
    }  # fmt: skip


@pytest.mark.parametrize("name", SPACES)
def test_every_suggestion_can_be_trained(name: str) -> None:
    space = load_space(name)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(30):
        setting = space.suggest(study.ask(), TrainOptions())
        assert TrainOptions.from_flat(setting).flat().items() >= setting.items()


def test_files_of_both_kinds_say_the_same(tmp_path: Path) -> None:
    yaml = write(tmp_path, "lr: {low: 0.001, high: 0.1, log: true}\nwidths: ['4,8', '8,16']\n")
    code = "LOW = 1e-3\nSPACE = {'lr': {'low': LOW, 'high': 0.1, 'log': True},\n"
    python = write(tmp_path, code + "         'widths': [(4, 8), (8, 16)]}\n", "mine.py")
    assert load_space(yaml) == load_space(python)
    assert load_space(yaml).name == "mine"


@pytest.mark.parametrize("text", ["lr: {low: 1e-4, high: 1e-2, log: true}", "lr: [1e-4, 1e-2]"])
def test_numbers_may_have_an_exponent_and_no_point(tmp_path: Path, text: str) -> None:
    assert ends(load_space(write(tmp_path, text)).parameters["lr"]) == (1e-4, 1e-2)


def test_widths_are_text_in_the_space_and_numbers_in_training() -> None:
    space = make_space("x", {"widths": ["4,8", "8,16"]}, "x")
    assert space.options({"widths": "4,8"}) == {"widths": (4, 8)}
    assert space.nearest(TrainOptions.from_flat({"widths": (8, 16)})) == {"widths": "8,16"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "learning_rate: [0.1]",
            r"has the unknown name learning_rate; allowed are network, stem, widths",
        ),
        ("epochs: [1, 2]", r"has the unknown name epochs"),
        ("lr: {low: 0.1, high: 0.1}", r"lr has an empty range, 0\.1 to 0\.1; low must be less"),
        ("lr: {low: 0.1, high: 0.01}", r"lr has an empty range"),
        ("lr: []", r"lr is an empty list"),
        ("lr: [0.1, 0.1]", r"lr has a value twice"),
        ("lr: [{low: 1}]", r"lr has \{'low': 1\}, which is no float"),
        ("lr: {low: , high: 1}", r"low of lr is None, which is no number"),
        ("lr: [fast]", r"lr has 'fast', which is no float"),
        ("lr: {low: fast, high: 1}", r"low of lr is 'fast', which is no number"),
        ("lr: {low: .nan, high: 1}", r"low of lr is nan, which is no number"),
        ("lr: {low: 0, high: 1, log: true}", r"lr is a log range from 0; low must be above 0"),
        ("lr: {low: 0.1, high: 1, log: 3}", r"log of lr is 3; allowed are true and false"),
        ("lr: {low: 0.1}", r"lr is \{'low': 0\.1\}; allowed are a list of values, or low and high"),
        ("lr: {low: 0.1, high: 1, steps: 2}", r"lr is .*; allowed are a list"),
        ("lr: 0.1", r"lr is 0\.1; allowed are a list of values"),
        ("dropout: {low: 0, high: 0.5, step: 0.6}", r"dropout has the step 0\.6; allowed are"),
        ("dropout: {low: 0, high: 0.5, step: 0}", r"dropout has the step 0; allowed are"),
        ("dropout: {low: 0, high: 1.5}", r"dropout is 1\.5; allowed are 0 to below 1"),
        ("lr: {low: 0, high: 1}", r"lr is 0\.0; allowed are values above 0 up to 10"),
        ("batch_size: {low: 1.5, high: 4}", r"batch_size is a whole number, its range is 1\.5"),
        ("batch_size: [16, 0]", r"batch_size is 0; allowed are 1 to 65536"),
        ("schedule: [linear]", r"schedule is 'linear'; allowed are none, cosine, one-cycle"),
        ("schedule: {low: 1, high: 2}", r"schedule is no number; give a list of values"),
        ("widths: ['4,x']", r"widths has '4,x', which is no list of whole numbers"),
        ("- lr", r"holds no parameters; needed is NAME"),
        ("", r"holds no parameters"),
        ("lr: [", r"mine\.yaml is no YAML: "),
    ],
)
def test_space_that_makes_no_sense_is_refused_by_name(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(StudyError, match=message) as caught:
        load_space(write(tmp_path, text))
    assert "mine.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("huge", r"--space is 'huge'; allowed are small, full and files that end in \.yaml"),
        ("no/such.yaml", r"the space file no/such\.yaml does not exist"),
        ("no/such.py", r"the space file no/such\.py does not exist"),
    ],
)
def test_space_that_is_not_there_is_refused(where: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        load_space(where)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("lr = 3", r"mine\.py defines no SPACE"),
        ("raise KeyError('x')", r"mine\.py cannot be run: KeyError: 'x'"),
        ("SPACE = (", r"mine\.py cannot be run: SyntaxError"),
        ("SPACE = 3", r"mine\.py holds no parameters"),
    ],
)
def test_python_file_that_gives_no_space_is_refused(
    tmp_path: Path, code: str, message: str
) -> None:
    with pytest.raises(StudyError, match=message):
        load_space(write(tmp_path, code, "mine.py"))


def test_settings_are_parsed_word_by_word() -> None:
    space = load_space("full")
    words = "lr=2e-3 batch_size=16 widths=96,96,96 schedule=cosine"
    assert space.parse(words) == {
        "lr": 2e-3, "batch_size": 16, "widths": "96,96,96", "schedule": "cosine"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr", r"--enqueue has 'lr'; allowed are NAME=VALUE words with the names batch_size, "),
        ("epochs=3", r"--enqueue has 'epochs=3'; allowed are"),
        ("lr=fast", r"--enqueue has lr=fast; that is no float"),
        ("batch_size=1.5", r"--enqueue has batch_size=1\.5; that is no int"),
        ("lr=5", r"--enqueue has lr=5, outside of the space: 0\.0001 to 0\.01 \(log\)"),
        ("batch_size=17", r"outside of the space: 16 \| 32 \| 64"),
        ("lr=nan", r"--enqueue has lr=nan, outside of the space"),
    ],
)
def test_setting_outside_of_the_space_is_refused(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load_space("full").parse(text)


def test_no_number_lies_outside_of_steps_too() -> None:
    space = make_space("x", {"dropout": {"low": 0.0, "high": 0.5, "step": 0.1}}, "x")
    assert space.parse("dropout=0.3") == {"dropout": pytest.approx(0.3)}
    with pytest.raises(SettingsError, match=r"dropout=nan, outside of the space: 0 to 0\.5 in"):
        space.parse("dropout=nan")


def test_a_space_is_recorded_as_it_always_was() -> None:
    raw = {
        "batch_size": {"low": 16, "high": 64, "step": 16},
        "head_width": {"low": 1, "high": 9},
        "lr": {"low": 1e-4, "high": 1e-2, "log": True},
        "widths": [(4, 8), "8,16"],
    }
    assert canonical(make_space("x", raw, "x").plain()) == (
        '{"batch_size": {"high": 64.0, "low": 16.0, "step": 16.0}, '
        '"head_width": {"high": 9.0, "low": 1.0}, '
        '"lr": {"high": 0.01, "log": true, "low": 0.0001}, "widths": ["4,8", "8,16"]}'
    )


def test_names_are_training_options() -> None:
    assert set(SEARCHABLE) <= set(declared())


CONDITIONAL = """
network: [vgg, resnet18]
widths: ["4,8", "8,16"]
dropout: {low: 0.0, high: 0.5, step: 0.25}
"""


def test_a_parameter_is_suggested_where_the_network_has_it(tmp_path: Path) -> None:
    space, options = load_space(write(tmp_path, CONDITIONAL)), small()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for network, names in (("vgg", {"network", "widths", "dropout"}),
                           ("resnet18", {"network", "dropout"})):  # fmt: skip
        study.enqueue_trial({"network": network})
        trial = study.ask()
        setting = space.suggest(trial, options)
        assert setting["network"] == network
        assert set(trial.params) == set(setting) == names
        assert options.changed(**setting).model.network == network


def test_the_grid_goes_through_what_each_network_has(tmp_path: Path) -> None:
    found = load_space(write(tmp_path, CONDITIONAL)).grid(small())
    assert [s["network"] for s in found] == ["vgg"] * 6 + ["resnet18"] * 3
    assert all(("widths" in s) == (s["network"] == "vgg") for s in found)


def test_a_parameter_that_no_network_has_is_refused(tmp_path: Path) -> None:
    space = load_space(write(tmp_path, 'widths: ["4,8", "8,16"]\nlr: [0.1, 0.2]'))
    space.check(small())
    message = "searches widths, which network resnet18 does not have"
    with pytest.raises(StudyError, match=message):
        space.check(small().changed(network="resnet18"))
    with pytest.raises(SettingsError, match="--enqueue has widths, which network resnet18 does"):
        load_space(write(tmp_path, CONDITIONAL)).parse("network=resnet18 widths=4,8")


def small() -> TrainOptions:
    return TrainOptions.from_flat({"image_size": 64})


def test_an_unknown_network_in_a_space_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="network is 'nope'; allowed are vgg, crnn, resnet18"):
        load_space(write(tmp_path, "network: [vgg, nope]"))
