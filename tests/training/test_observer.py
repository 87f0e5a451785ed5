"""Several observers as one."""

from genre_mlflow.training.observer import Observer, Observers


class Recorder(Observer):
    def __init__(self, name, calls):
        self.name, self.calls = name, calls

    def on_train_begin(self, *args):
        self.calls.append((self.name, "begin", *args))

    def on_batch_end(self, *args):
        self.calls.append((self.name, "batch", *args))

    def on_epoch_end(self, *args):
        self.calls.append((self.name, "epoch", *args))


def tell_all(observer):
    observer.on_train_begin([], 4)
    observer.on_batch_end("train", 8, 26)
    observer.on_epoch_end("result", "weights")


def test_each_hook_reaches_every_observer_in_the_order_given():
    calls = []
    tell_all(Observers(Recorder(name, calls) for name in "ab"))
    assert calls == [
        ("a", "begin", [], 4), ("b", "begin", [], 4),
        ("a", "batch", "train", 8, 26), ("b", "batch", "train", 8, 26),
        ("a", "epoch", "result", "weights"), ("b", "epoch", "result", "weights"),
    ]  # fmt: skip


def test_nobody_and_somebody_who_does_nothing_may_watch():
    tell_all(Observers([]))
    tell_all(Observers([Observer()]))
