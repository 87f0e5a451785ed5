"""Work as seen in a terminal: bars, and lines above them; elsewhere the lines alone."""

from collections.abc import Callable, Sequence
from pathlib import Path

from rich import progress as bars
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from genre_mlflow.files.names import escaped
from genre_mlflow.training.history import EpochResult, best_epoch
from genre_mlflow.training.observer import Observer

PARTS = {"train": "training", "val": "validating"}


class Bar(Observer):
    """Shows progress within the epoch on a terminal, and lines above it; elsewhere the lines alone.

    Use it as a context manager, so that the bar is gone when something else is printed.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console = console or Console()
        self.epoch = self.epochs = 0
        self.bar = bars.Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.task = self.bar.add_task("", total=None, visible=False)

    def __enter__(self) -> "Bar":
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)
        self.console.file.flush()  # a log file shows each epoch when it ends

    def on_train_begin(self, history: Sequence[EpochResult], epochs: int) -> None:
        """Start at the epoch that a resumed run goes on with."""
        self.epoch, self.epochs = len(history), epochs

    def on_batch_end(self, part: str, done: int, total: int) -> None:
        """Move the bar."""
        name = f"epoch {min(self.epoch + 1, self.epochs)}/{self.epochs} {PARTS[part]}"
        self.move(name, done, total)

    def move(self, what: str, done: int, total: int) -> None:
        """Say how far anything is."""
        self.bar.update(self.task, description=what, completed=done, total=total, visible=True)

    def on_epoch_end(self, result: EpochResult, weights: Path) -> None:
        """Begin the next epoch."""
        self.epoch = result.epoch


class Table(Observer):
    """Says a line for each epoch, with a star where validation is the best so far."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.history: list[EpochResult] = []
        self.epochs = 0

    def on_train_begin(self, history: Sequence[EpochResult], epochs: int) -> None:
        """Head of the table; a resumed run says where it goes on."""
        self.history, self.epochs = list(history[:-1]), epochs
        if history:
            self.say(f"Going on after epoch {len(history)} of {epochs}")
        self.say(f"{'epoch':>9}  train loss   acc    val loss   acc       lr   img/s    time")

    def on_epoch_end(self, result: EpochResult, weights: Path) -> None:
        """A line of the table."""
        self.history.append(result)
        v_acc = f"{result.val.accuracy:6.1%}"
        star = "*" if best_epoch(self.history) is result else " "
        self.say(
            f"{result.epoch:4d}/{self.epochs:<4d}  {result.train.loss:10.4f} "
            f"{result.train.accuracy:6.1%}  {result.val.loss:8.4f} {v_acc}{star} "
            f"{result.lr:8.1e} {result.images_per_s:7.1f} {result.seconds:6.1f}s"
        )


class Progress:
    """A bar that counts what is done, with its speed, and lines above it."""

    def __init__(self, console: Console, total: int, what: str) -> None:
        self.console = console
        self.bar = bars.Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(what),
            Speed(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.task = self.bar.add_task("", total=total)

    def __enter__(self) -> "Progress":
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        text = printable(line, self.console.encoding)
        self.console.print(text, markup=False, highlight=False, soft_wrap=True, emoji=False)

    def advance(self) -> None:
        """One more is done."""
        self.bar.advance(self.task)


class Speed(bars.ProgressColumn):
    """How many are done in a second."""

    def render(self, task: bars.Task) -> Text:
        """The speed, once it is known."""
        return Text(f"{task.speed:.1f}/s" if task.speed else "")


def printable(line: str, encoding: str) -> str:
    """The line without what would steer a terminal, and what its encoding does not have."""
    return escaped(line).encode(encoding, "backslashreplace").decode(encoding)
