"""The loop learns, stops when it should, and goes on as if it had never stopped."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.errors import TrainingError
from genre_mlflow.features.settings import AugmentationSettings, PreprocessingSettings
from genre_mlflow.model.aggregation import aggregate
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.layers import Fused
from genre_mlflow.model.networks.vgg import VGG
from genre_mlflow.training.checkpoint import CheckpointFolder
from genre_mlflow.training.history import EpochResult
from genre_mlflow.training.loop import FitResult, fit
from genre_mlflow.training.observer import Observer
from genre_mlflow.training.optimisation import Average
from genre_mlflow.training.settings import SCHEDULES, TrainingSettings

GENRES = ("low", "middle", "high")
PIXELS = PreprocessingSettings(image_size=32, image_width=32, colours="kept")
SETTINGS = TrainingSettings(epochs=4, batch_size=8, lr=3e-3, schedule="none", seed=3)


@pytest.fixture
def run(tmp_path, train, val, make_classifier):
    """Fit a new classifier as a new process would; the folder is what stays between two calls."""

    def run(
        settings: TrainingSettings = SETTINGS,
        folder: str = "run",
        seed: int = 0,
        classifier: Classifier | None = None,
        observer: Observer | None = None,
        teacher: torch.nn.Module | None = None,
        **splits: TrackDataset,
    ) -> FitResult:
        torch.manual_seed(999)  # a process that resumes is in another random state
        return fit(
            classifier or make_classifier(seed),
            {"train": train, "val": val} | splits,
            settings,
            observer or Observer(),
            checkpoints=CheckpointFolder(tmp_path / folder),
            device=torch.device("cpu"),
            teacher=teacher,
        )

    return run


def logged(history: list[EpochResult]) -> list[dict[str, object]]:
    """The history without wall-clock time."""
    times = ("seconds", "images_per_s", "finished_ms")
    return [{k: v for k, v in e.to_dict().items() if k not in times} for e in history]


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def every(tracks: TrackDataset) -> torch.Tensor:
    """The pixels of all items."""
    return tracks.gather(list(range(len(tracks))))[0]


class Stop(Exception):
    """What kills a run in these tests."""


class Recorder(Observer):
    """Writes down every hook; raises `Stop` at the end of an epoch, or in the midst of it."""

    def __init__(self, stop_after: int = 0, stop_in: int = 0) -> None:
        self.stop_after, self.stop_in = stop_after, stop_in
        self.calls: list[tuple[object, ...]] = []

    def on_train_begin(self, history, epochs):
        self.calls.append(("begin", len(history), epochs))

    def on_batch_end(self, part, done, total):
        self.calls.append((part, done, total))
        n_ended = sum(call[0] == "epoch" for call in self.calls)
        if self.stop_in and n_ended == self.stop_in - 1 and done > 8:
            raise Stop

    def on_epoch_end(self, result, weights):
        assert weights.is_file()
        assert (weights.parent / "state.pt").is_file()
        self.calls.append(("epoch", result.epoch))
        if result.epoch == self.stop_after:
            raise Stop


def test_a_tiny_task_is_learnt(run, make_classifier):
    settings = replace(SETTINGS, epochs=12, schedule="one-cycle")
    history = run(settings, classifier=make_classifier(dropout=0.0)).history
    assert [result.epoch for result in history] == list(range(1, 13))
    assert history[-1].train.loss < history[0].train.loss / 2
    assert max(result.val.accuracy for result in history) == 1.0


def test_an_epoch_counts_every_track_once(run, train, val):
    for result in run().history:
        for passed, tracks in ((result.train, train), (result.val, val)):
            counts = torch.tensor(passed.confusion)
            assert counts.sum(dim=1).equal(torch.bincount(tracks.labels))
        assert result.seconds > 0
        assert result.images_per_s == pytest.approx((26 + 12) / result.seconds)


def test_validation_loss_is_that_of_the_weights_of_the_epoch(run, make_classifier, val, tmp_path):
    result = run().history[-1]
    network = make_classifier().network.eval()
    network.load_state_dict(CheckpointFolder(tmp_path / "run").load_weights(4))
    logits = network(every(val)).detach()
    loss = torch.nn.functional.cross_entropy(logits, val.labels)
    assert result.val.loss == pytest.approx(float(loss), rel=1e-5)
    assert result.val.accuracy == (logits.argmax(1) == val.labels).sum().item() / 12


def test_best_weights_are_those_of_the_best_epoch(run, tmp_path):
    fitted = run(replace(SETTINGS, keep="all"))
    best = min(fitted.history, key=lambda result: result.val.loss)
    weights = CheckpointFolder(tmp_path / "run").load_weights(best.epoch)
    assert same(fitted.best_weights, weights)


def test_same_seed_same_run_and_another_seed_another(run):
    one, two = run(folder="one"), run(folder="two")
    assert same(one.best_weights, two.best_weights)
    assert logged(one.history) == logged(two.history)
    other = run(replace(SETTINGS, seed=4), folder="other")
    assert logged(other.history) != logged(one.history)


def test_every_epoch_has_an_order_of_its_own(run, train, val, monkeypatch):
    orders = []
    batches = TrackDataset.batches

    def recorded(self, size, order=None):
        orders.append((self, tuple(order)))
        return batches(self, size, order)

    monkeypatch.setattr(TrackDataset, "batches", recorded)
    run()
    shuffled = {order for tracks, order in orders if tracks is train}
    assert len(shuffled) == 4
    assert all(sorted(order) == list(range(26)) for order in shuffled)
    assert {order for tracks, order in orders if tracks is val} == {tuple(range(12))}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("where", [{"stop_after": n} for n in (1, 2, 3, 4)] + [{"stop_in": 3}])
def test_resumed_run_ends_as_one_never_stopped(run, tmp_path, schedule, where):
    settings = replace(SETTINGS, schedule=schedule, weight_decay=1e-3, keep="all")
    unbroken = run(settings, folder="unbroken")
    with pytest.raises(Stop):
        run(settings, observer=Recorder(**where))
    resumed = run(settings, seed=1)
    assert logged(resumed.history) == logged(unbroken.history)
    assert same(resumed.best_weights, unbroken.best_weights)
    one, other = CheckpointFolder(tmp_path / "unbroken"), CheckpointFolder(tmp_path / "run")
    for epoch in range(1, 5):
        assert same(one.load_weights(epoch), other.load_weights(epoch))


def test_a_run_stopped_after_every_epoch_ends_as_one_never_stopped(run):
    unbroken = run(folder="unbroken")
    for epoch in range(1, 5):
        with pytest.raises(Stop):
            run(observer=Recorder(stop_after=epoch))
    resumed = run()
    assert logged(resumed.history) == logged(unbroken.history)
    assert same(resumed.best_weights, unbroken.best_weights)


def test_a_run_killed_between_weights_and_state_repeats_the_epoch(run, monkeypatch):
    unbroken = run(folder="unbroken")
    save_state = CheckpointFolder.save_state

    def killed(self, state, keep):
        if len(state["history"]) == 3:
            raise Stop
        save_state(self, state, keep)

    with monkeypatch.context() as patch:
        patch.setattr(CheckpointFolder, "save_state", killed)
        with pytest.raises(Stop):
            run()
    assert logged(run().history) == logged(unbroken.history)


def test_a_finished_run_that_is_resumed_trains_no_more(run):
    first = run()
    recorder = Recorder()
    second = run(observer=recorder)
    assert recorder.calls == [("begin", 4, 4), ("epoch", 4)]
    assert second.history == first.history
    assert same(second.best_weights, first.best_weights)


def test_more_epochs_on_resume_go_on_where_the_run_ended(run):
    run(replace(SETTINGS, epochs=2))
    assert logged(run().history) == logged(run(folder="unbroken").history)


@pytest.mark.parametrize("schedule", ["cosine", "one-cycle"])
def test_more_epochs_on_resume_take_their_place_in_the_longer_schedule(run, schedule):
    short = replace(SETTINGS, epochs=2, schedule=schedule)
    run(short)
    longer = replace(short, epochs=6)
    resumed, unbroken = run(longer), run(longer, folder="unbroken")
    assert [e.lr for e in resumed.history[2:]] == [e.lr for e in unbroken.history[2:]]


def test_hooks_come_in_order(run):
    recorder = Recorder()
    run(replace(SETTINGS, epochs=2), observer=recorder)
    epoch = [("train", n, 26) for n in (8, 16, 24, 26)] + [("val", n, 12) for n in (8, 12)]
    expected = [("begin", 0, 2), *epoch, ("epoch", 1), *epoch, ("epoch", 2)]
    assert recorder.calls == expected


def test_a_resumed_run_repeats_the_hook_of_its_last_epoch(run):
    with pytest.raises(Stop):
        run(observer=Recorder(stop_after=2))
    recorder = Recorder()
    run(observer=recorder)
    assert recorder.calls[:3] == [("begin", 2, 4), ("epoch", 2), ("train", 8, 26)]


class Poisoned(torch.nn.Module):
    """A network whose answers are no numbers, in training or in validation."""

    def __init__(self, training_part: bool) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(3, 3)
        self.training_part = training_part

    def forward(self, pixels):
        logits = self.linear(pixels.float().mean(dim=(2, 3)) / 255)
        return logits * float("nan") if self.training == self.training_part else logits


@pytest.mark.parametrize(("in_training", "part"), [(True, "training"), (False, "validation")])
def test_a_loss_that_is_no_number_ends_training(run, make_classifier, tmp_path, in_training, part):
    classifier = make_classifier()
    classifier.network = Poisoned(in_training)
    message = rf"^{part} loss is nan in epoch 1 \(lr 0\.003\); try a lower lr$"
    with pytest.raises(TrainingError, match=message):
        run(classifier=classifier)
    assert not (tmp_path / "run").exists()


def test_training_stops_when_validation_is_no_better_for_so_many_epochs(run):
    wild = replace(SETTINGS, epochs=60, lr=0.3, patience=3)
    history = run(wild).history
    losses = [result.val.loss for result in history]
    assert len(history) == losses.index(min(losses)) + 1 + 3 < 60
    assert len(run(wild).history) == len(history)  # resumed, it has nothing to do either


@pytest.mark.parametrize("keep", ["best-last", "all"])
def test_weights_are_kept_as_asked(run, tmp_path, keep):
    history = run(replace(SETTINGS, epochs=5, keep=keep)).history
    best = min(history, key=lambda result: result.val.loss).epoch
    kept = range(1, 6) if keep == "all" else {best, 5}
    expected = {f"epoch-{epoch:04d}.safetensors" for epoch in kept} | {"state.pt"}
    assert {path.name for path in (tmp_path / "run").iterdir()} == expected


def test_class_weights_weigh_each_track_in_the_loss(run, make_tracks):
    uneven = make_tracks([0] * 9 + [1] * 4 + [2], [1] * 14)
    settings = replace(SETTINGS, epochs=1, batch_size=14)
    plain = run(settings, folder="plain", train=uneven).history[0].train
    even = run(replace(settings, class_weights="balanced"), train=uneven).history[0].train
    assert plain.confusion == even.confusion  # one batch: the weights have not changed yet
    assert plain.loss != pytest.approx(even.loss, rel=1e-3)


def test_validation_loss_is_the_same_whatever_is_learnt_by(run, train, make_tracks):
    settings = replace(SETTINGS, epochs=1, lr=1e-9)
    val = make_tracks([0] * 9 + [1] * 2 + [2], [1] * 12)
    others = [{"class_weights": "balanced"}, {"label_smoothing": 0.5}]
    plain, *other = (
        run(replace(settings, **change), folder=f"run {i}", val=val).history[0].val
        for i, change in enumerate([{}, *others])
    )
    assert [result.loss for result in other] == pytest.approx([plain.loss] * 2, rel=1e-5)


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: state["network"].popitem(),
        lambda state: state.pop("optimizer"),
        lambda state: state.pop("history"),
        lambda state: state["history"][0].pop("lr"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(run, tmp_path, damage):
    run(replace(SETTINGS, epochs=1))
    checkpoints = CheckpointFolder(tmp_path / "run")
    state = checkpoints.load_state()
    damage(state)
    checkpoints.save_state(state, keep={1})
    with pytest.raises(
        TrainingError, match=f"^the checkpoint in {tmp_path}.* another network: .+$"
    ):
        run()


def test_with_random_segments_an_epoch_takes_one_of_each_track(run, make_tracks, monkeypatch):
    cut = make_tracks([0, 1, 1, 2], [3, 1, 2, 4])
    taken = []
    gather = TrackDataset.gather

    def recorded(self, indices):
        if self is cut:
            taken.append(indices)
        return gather(self, indices)

    monkeypatch.setattr(TrackDataset, "gather", recorded)
    settings = replace(SETTINGS, segments="random", epochs=30)
    fitted = run(settings, train=cut)
    assert all(sorted(cut.owners[indices].tolist()) == [0, 1, 2, 3] for indices in taken)
    assert len(taken) == 30
    assert {index for indices in taken for index in indices} == set(range(10))
    for result in fitted.history:
        assert [sum(row) for row in result.train.confusion] == [1, 2, 1]


@pytest.mark.parametrize("aggregation", ["mean", "vote", "max"])
def test_validation_is_what_the_segments_say_together(
    run, make_tracks, make_classifier, aggregation
):
    genres, segments = [0, 1, 1, 1, 2, 2], [4, 1, 2, 1, 3, 1]
    cut = make_tracks(genres, segments)
    fitted = run(
        replace(SETTINGS, epochs=1), val=cut, classifier=make_classifier(aggregation=aggregation)
    )
    network = make_classifier().network
    network.load_state_dict(fitted.best_weights)
    network.eval()
    with torch.inference_mode():
        logits = network(every(cut))
    answers = aggregate(logits.softmax(dim=1), cut.owners, aggregation).argmax(dim=1)
    result = fitted.history[0].val
    assert result.accuracy == pytest.approx(float((answers == torch.tensor(genres)).float().mean()))
    losses = torch.nn.functional.cross_entropy(logits, cut.labels, reduction="none")
    by_track = [float(losses[cut.owners == track].mean()) for track in range(6)]
    assert result.loss == pytest.approx(sum(by_track) / 6, rel=1e-4)


def test_class_weights_are_those_of_the_items_of_an_epoch(run, make_tracks):
    """A track of many segments, of which an epoch takes one, counts no more than another."""
    cut = make_tracks([0, 1, 2], [1, 1, 6])
    settings = replace(SETTINGS, epochs=1, segments="random")
    plain = run(settings, folder="plain", train=cut).history[0].train
    even = run(replace(settings, class_weights="balanced"), train=cut).history[0].train
    assert even.loss == plain.loss  # one track a genre: there is nothing to balance


@pytest.mark.parametrize("where", [{"stop_after": 2}, {"stop_in": 3}])
def test_random_segments_are_drawn_again_by_a_resumed_run(run, make_tracks, where):
    cut = make_tracks([0, 1, 2, 2, 1, 0, 1, 2], [3, 1, 2, 4, 5, 2, 2, 3])
    settings = replace(SETTINGS, segments="random", batch_size=2)
    unbroken = run(settings, folder="unbroken", train=cut)
    with pytest.raises(Stop):
        run(settings, observer=Recorder(**where), train=cut)
    resumed = run(settings, train=cut)
    assert logged(resumed.history) == logged(unbroken.history)
    assert same(resumed.best_weights, unbroken.best_weights)


def test_a_network_that_learns_channels_last_resumes_bit_for_bit_and_is_laid_back(run):
    def wide() -> Classifier:
        torch.manual_seed(0)
        return Classifier(GENRES, VGG(stem="pixels", widths=(16,), statistics_share=0.0), PIXELS)

    unbroken = run(folder="unbroken", classifier=wide())
    with pytest.raises(Stop):
        run(observer=Recorder(stop_after=2), classifier=wide())
    resumed = run(classifier=(classifier := wide()))
    assert same(resumed.best_weights, unbroken.best_weights)
    assert all(weights.is_contiguous() for weights in classifier.network.parameters())


def test_the_classifier_that_was_given_has_learnt(run, make_classifier, tmp_path):
    classifier = make_classifier()
    run(replace(SETTINGS, ema_decay=0.0), classifier=classifier)
    last = CheckpointFolder(tmp_path / "run").load_weights(4)
    assert same(classifier.network.state_dict(), last)


def test_what_is_kept_is_the_average_of_the_weights(run, make_classifier, tmp_path, monkeypatch):
    steps = []
    update = Average.update_parameters

    def noted(self, network):
        update(self, network)
        steps.append(network.get_parameter("head.4.bias").detach().clone())

    monkeypatch.setattr(Average, "update_parameters", noted)
    classifier = make_classifier()
    run(classifier=classifier)
    mean = steps[0]
    for n, weights in enumerate(steps[1:], start=1):
        mean = torch.lerp(mean, weights, 1 - min(SETTINGS.ema_decay, (1 + n) / (10 + n)))
    kept = CheckpointFolder(tmp_path / "run").load_weights(4)["head.4.bias"]
    assert torch.allclose(kept, mean, atol=1e-6)
    assert not torch.allclose(kept, steps[-1], atol=1e-6)


def test_what_is_fitted_is_asked_once_and_answers_for_the_right_tracks(run, train, val):
    asked = []

    class Knows(torch.nn.Module):
        def forward(self, pixels):
            asked.append(len(pixels))
            bands = pixels[:, :, [3, 13, 23]].float().mean(dim=(1, 3))  # [B, genres]
            return bands / 10

    classifier = Classifier(GENRES, VGG(stem="pixels", widths=(4,), statistics_share=0.0), PIXELS)
    classifier.network = Fused(Knows(), classifier.network, 0.99)
    history = run(classifier=classifier).history
    assert sum(asked) == len(val)  # of four epochs, and never of the tracks that it learns from
    assert [result.val.accuracy for result in history] == [1.0] * 4


class Teacher(torch.nn.Module):
    """Takes each genre for the next one, but only by pictures and where it is not in training."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        assert not self.training
        assert not torch.is_grad_enabled()
        rows = pixels.float().mean(dim=(1, 3))  # [B, H]
        bands = torch.stack([rows[:, 10 * i : 10 * i + 6].mean(dim=1) for i in range(3)], dim=1)
        return 20 * torch.nn.functional.one_hot(bands.argmax(dim=1).add(1) % 3, 3).float()


def test_what_a_teacher_answers_is_learnt_instead_of_the_labels(run, make_classifier, train):
    settings = replace(SETTINGS, epochs=12, schedule="one-cycle")
    classifier = make_classifier(dropout=0.0)
    run(settings, classifier=classifier, teacher=Teacher())
    answers = classifier.logits(every(train)).argmax(dim=1)
    assert (answers == (train.labels + 1) % 3).float().mean() > 0.9


def test_each_network_of_an_ensemble_learns_as_it_would_alone(run, make_classifier, tmp_path):
    settings = replace(SETTINGS, ema_decay=0.0)
    together = Classifier(
        GENRES,
        VGG(stem="pixels", widths=(4,), crop=1.0, dropout=0.0, statistics_share=0.0, ensemble=2),
        PIXELS,
    )
    alone = []
    for member in together.network.members:
        one = Classifier(GENRES, replace(together.network_settings, ensemble=1), PIXELS)
        one.network.load_state_dict(member.state_dict())
        alone.append(one)
    history = run(settings, folder="together", classifier=together).history
    for number, one in enumerate(alone):
        run(settings, folder=str(number), classifier=one)
        weights = together.network.members[number].state_dict()
        assert all(
            torch.allclose(weights[n], w, atol=1e-5) for n, w in one.network.state_dict().items()
        )
    first, second = (one.network.get_parameter("head.1.weight") for one in alone)
    assert not torch.allclose(first, second, atol=1e-2)
    assert history[-1].val.accuracy > 0.5


def test_what_is_learnt_from_is_changed_and_what_is_validated_is_not(
    train, val, make_classifier, tmp_path
):
    def weights_and_pictures(augmentation, folder):
        classifier, seen = make_classifier(), {True: [], False: []}
        classifier.network.register_forward_pre_hook(
            lambda network, inputs: seen[network.training].append(inputs[0].clone())
        )
        fit(
            classifier, {"train": train, "val": val},
            replace(SETTINGS, epochs=1, mixup=0.0, ema_decay=0.0), Observer(),
            checkpoints=CheckpointFolder(tmp_path / folder), device=torch.device("cpu"),
            augmentation=augmentation,
        )  # fmt: skip
        learnt, validated = (torch.cat(seen[is_training]) for is_training in (True, False))
        assert torch.equal(validated, val.gather([*range(len(val))])[0])
        return classifier.network.state_dict(), learnt

    plain, pictures = weights_and_pictures(AugmentationSettings(), "plain")
    rolled, others = weights_and_pictures(AugmentationSettings(roll=1.0), "rolled")
    assert not torch.equal(pictures, others)
    assert torch.equal(
        pictures.float().sum(dim=(2, 3)).sort(0)[0], others.sum(dim=(2, 3)).sort(0)[0]
    )
    assert not same(plain, rolled)


TINY = """
import sys
sys.modules.update(dict.fromkeys(("mlflow", "optuna", "click", "rich"), None))  # not installed
from pathlib import Path
from types import SimpleNamespace
import numpy, pandas, torch
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.networks.vgg import VGG
from genre_mlflow.training.checkpoint import CheckpointFolder
from genre_mlflow.training.loop import fit
from genre_mlflow.training.observer import Observer
from genre_mlflow.training.settings import TrainingSettings

manifest = pandas.DataFrame({"sha256": ["x", "y"], "genre": ["a", "b"]})
pixels = numpy.zeros((2, 1, 32, 32), dtype="uint8")
cache = SimpleNamespace(pixels=pixels, span={"x": (0, 1), "y": (1, 1)})
tracks = TrackDataset(manifest, "ab", cache)
network = VGG(widths=(4,), head_width=4)
preprocessing = PreprocessingSettings(image_size=32, image_width=32)
classifier = Classifier("ab", network, preprocessing)
fitted = fit(
    classifier, {"train": tracks, "val": tracks}, TrainingSettings(epochs=2), Observer(),
    checkpoints=CheckpointFolder(Path(sys.argv[1])), device=torch.device("cpu"),
)
print(len(fitted.history))
"""


@pytest.mark.slow
def test_training_needs_no_tracker_and_no_search(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", TINY, tmp_path / "run"], capture_output=True, text=True
    )
    assert done.stdout == "2\n", done.stderr
