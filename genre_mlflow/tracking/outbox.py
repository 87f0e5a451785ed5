"""What a run has still to write into its store: epochs on disk, in order, and where they belong."""

import json
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from genre_mlflow.errors import ModelError
from genre_mlflow.files.atomic import atomic_write
from genre_mlflow.files.home import home
from genre_mlflow.tracking.sessions import checkpoint_folder
from genre_mlflow.training.history import EpochResult

WAITING = "waiting"  # folder beside a run's checkpoint
HEAD_FILE, TRAINED_FILE = "head.json", "trained.json"
# Times the weights of an epoch that must stay free for the checkpoint of the next one: weights, and
# a state of the network, its mean and two moments of Adam, before the old state goes; one to spare.
ROOM = 6


def waiting_folder(run_id: str) -> Path:
    """Where lies what a run has still to write into its store."""
    return checkpoint_folder(run_id) / WAITING


def waiting_runs() -> list[str]:
    """Ids of the runs here of which anything waits."""
    found = sorted(path.parent.name for path in home().glob(f"checkpoints/*/{WAITING}"))
    return [run_id for run_id in found if Outbox(waiting_folder(run_id)).is_needed]


@dataclass(frozen=True)
class Head:
    """What all epochs of a run share; `store`: its address, without a password."""

    run_id: str
    store: str
    classifier: dict[str, Any]
    keep: str
    dataset: Sequence[str]  # name and digest of the corpus; empty for none

    @classmethod
    def read(cls, folder: Path) -> Self:
        """What lies in a folder. Raises `ModelError` where it is missing or damaged."""
        return cls(**read_json(folder / HEAD_FILE, list(cls.__dataclass_fields__)))


class Outbox:
    """A folder with one record, and one file of weights, for each epoch that waits.

    `room`: bytes that stay free; None for as many as the next checkpoint may need.
    """

    def __init__(self, folder: Path, room: int | None = None) -> None:
        self.folder, self.room = folder, room

    def open(self, head: Head) -> None:
        """Write what all epochs share."""
        write_json(self.folder / HEAD_FILE, asdict(head))

    def record(self, epoch: int) -> Path:
        """Where an epoch lies."""
        return self.folder / f"epoch-{epoch:04d}.json"

    def weights(self, epoch: int) -> Path:
        """Where its weights lie, unless there was no room for them."""
        return self.record(epoch).with_suffix(".safetensors")

    def put(self, result: EpochResult, weights: Path) -> bool:
        """Keep an epoch; false where its weights were dropped, for want of room on the disk.

        Raises `OSError` where there is none for its figures, either.
        """
        kept = self.has_room(weights) and linked(weights, self.weights(result.epoch))
        try:
            write_json(self.record(result.epoch), result.to_dict())
        except OSError:
            if not self.record(result.epoch).exists():
                self.weights(result.epoch).unlink(missing_ok=True)
            raise
        return kept

    def has_room(self, weights: Path) -> bool:
        """Whether weights may stay that the checkpoint would delete."""
        room = ROOM * weights.stat().st_size if self.room is None else self.room
        return self.free >= room

    @property
    def free(self) -> int:
        """Bytes that the disk has left."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self.folder).free

    def epochs(self) -> list[int]:
        """The epochs that wait, in order. Raises `ModelError` for a name that is no epoch's."""
        names = sorted(path.stem for path in self.folder.glob("epoch-*.json"))
        try:
            return sorted(int(name.rpartition("-")[2]) for name in names)
        except ValueError as error:
            raise damaged(self.folder, "a name that is no epoch's") from error

    def read(self, epoch: int) -> EpochResult:
        """One epoch. Raises `ModelError` for a damaged record."""
        path = self.record(epoch)
        values = read_json(path, list(EpochResult.__dataclass_fields__))
        try:
            return EpochResult.from_dict(values)
        except TypeError as error:
            raise damaged(path, "not an epoch") from error

    def remove(self, epoch: int) -> None:
        """An epoch has arrived: the record goes first, so that no record lacks its weights."""
        self.record(epoch).unlink(missing_ok=True)
        self.weights(epoch).unlink(missing_ok=True)

    def mark_trained(self) -> None:
        """Note that the training has ended, and that its results wait."""
        write_json(self.folder / TRAINED_FILE, {"trained": True})

    def mark_begun(self) -> None:
        """Note that the training goes on after all."""
        with suppress(OSError):
            (self.folder / TRAINED_FILE).unlink(missing_ok=True)

    @property
    def is_trained(self) -> bool:
        """Whether the training has ended."""
        return (self.folder / TRAINED_FILE).exists()

    @property
    def is_needed(self) -> bool:
        """Whether anything waits."""
        return self.is_trained or any(self.folder.glob("epoch-*.json"))

    def close(self) -> None:
        """Delete the folder: all has arrived."""
        shutil.rmtree(self.folder, ignore_errors=True)


def linked(source: Path, target: Path) -> bool:
    """Keep a file under a second name, which takes no room while the first is there."""
    new = target.with_suffix(".new")
    new.unlink(missing_ok=True)
    with suppress(OSError):
        os.link(source, new)
        new.replace(target)  # at no moment it is missing: another thread may be reading it
        new.unlink(missing_ok=True)  # which stays where both were one file already
        return True
    try:  # a disk that knows no links
        with atomic_write(target) as file:
            file.write(source.read_bytes())
    except OSError:
        return False
    return True


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a file whole."""
    with atomic_write(path) as file:
        file.write(json.dumps(values).encode())


def read_json(path: Path, names: Sequence[str]) -> dict[str, Any]:
    """An object with these names. Raises `ModelError` for anything else."""
    try:
        values = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise damaged(path, str(error)) from None  # no outage of the store, which may pass
    if not isinstance(values, dict) or set(values) != set(names):
        raise damaged(path, f"not an object with {', '.join(names)}")
    return values


def damaged(path: Path, why: str) -> ModelError:
    """The error about a file that somebody has changed."""
    return ModelError(
        f"{path} cannot be read ({why}); the run can be gone on with by train --resume, from its "
        "checkpoint, once this file is moved away"
    )
