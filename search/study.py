"""Beginning a study or joining it: what makes it the same study, its parent run, its queue."""

import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import optuna
import pandas as pd
import torch
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from genre_mlflow import signals
from genre_mlflow.corpus.corpus import Corpus, open_corpus
from genre_mlflow.corpus.folds import folds
from genre_mlflow.corpus.manifest import digest
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.errors import GenreError, StudyError
from genre_mlflow.jobs.out_of_fold import check_folds
from genre_mlflow.jobs.tracks import open_tracks, suited, tensors
from genre_mlflow.model.settings import FORBIDDEN_IN_NAMES
from genre_mlflow.options import TrainOptions, changes
from genre_mlflow.settings import as_text
from genre_mlflow.tracking.observer import check_genres
from genre_mlflow.tracking.run import RUNNING
from genre_mlflow.tracking.sessions import check_joined
from genre_mlflow.tracking.store import impatient, joined_run_id, open_store, store_errors
from genre_mlflow.tracking.study import StudyRuns, find_parent, open_parent
from genre_mlflow.training.precision import device_for
from search.request import Request
from search.space import Space, canonical, load_space
from search.storage import Storage, default_address
from search.strategies import make_pruner, make_sampler

# Options that may differ from host to host, or that the digest of the corpus speaks for.
NOT_COMPARED = {
    "data", "split_dir", "val_fraction", "test_fraction", "split_seed", "groups",
    "group_by", "on_missing", "on_bad_file", "allow_leak", "device", "keep",
}  # fmt: skip
OURS, PARENT = "genre_mlflow", "parent_run_id"  # user attributes of the study
WHY, DEFAULTS = "why", "defaults"  # user attribute of a trial that was queued, and the first's
DONE = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True)
class Search:
    """A study that is open in this process, with all that its trials need.

    `tracks`: `train` and `val` alone, so that no trial can read the test set; `folds`: the same of
    each fold of both, if there are any.
    """

    request: Request
    options: TrainOptions
    space: Space
    storage: Storage
    study: Study
    runs: StudyRuns
    corpus: Corpus
    tracks: Mapping[str, TrackDataset]
    folds: Sequence[Mapping[str, TrackDataset]]
    device: torch.device

    @property
    def name(self) -> str:
        """The study's name."""
        return self.study.study_name

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """Trials in these states, in the order of their numbers."""
        return self.study.get_trials(deepcopy=False, states=states or None)

    def leave(self, status: str) -> None:
        """Close the parent run of a study that is not at its end, unless others go on with it.

        A store that is gone must not hide why the work ended.
        """
        with (
            signals.undisturbed(), impatient(),
            suppress(GenreError), self.storage.errors(), store_errors(),
        ):  # fmt: skip
            if not self.trials(TrialState.RUNNING) and self.runs.status == RUNNING:
                self.runs.set_status(status)

    def first_trial(self) -> FrozenTrial:
        """The trial with the values of the command line, or its last repetition."""
        return [trial for trial in self.trials() if trial.user_attrs.get(WHY) == DEFAULTS][-1]


def open_search(request: Request) -> Search:
    """Check everything, then begin the study or join it. Raises `GenreError`."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # each trial has a line of ours
    space = load_space(request.space)
    space.check(request.options)  # refuse now what cannot be built
    queue = [space.parse(text) for text in request.enqueue]
    options = request.options
    device = device_for(options.training)
    for network in space.networks(options):
        family = options.changed(network=network).family
        if family.reads_files != options.family.reads_files:
            raise StudyError("network csv reads a table, the others music: search it alone")
        family.check_start()
    storage = Storage(request.storage or default_address(), request.grace_s)
    open_store()
    check_joined()
    corpus = suited(open_corpus(options.corpus, options.split), options)
    check_genres(corpus.genres)
    check_folds(options, corpus)
    parts = folds(corpus.split.grouped, request.folds) if request.folds else []
    name = request.study or default_name(corpus, space)
    with storage.lock(f"study {name}"):
        steps = request.folds if request.trials_on_folds else options.training.epochs
        study = find_study(name, storage, make_pruner(request.pruner, steps))
        begin(study, identity(request, space, corpus))  # before the work of decoding
    tracks = open_tracks(corpus, options, ("train", "val"))
    on_folds = [tensors(corpus, options, sides(part)) for part in parts]
    with storage.lock(f"study {name}"), store_errors():
        parent_id = study.user_attrs.get(PARENT)
        if parent_id:
            parent = find_parent(parent_id, name)
        else:
            parent = open_parent(request.experiment, name, options, space.texts(), corpus)
            study.set_user_attr(PARENT, parent.id)
        fill_queue(study, request, space, queue)
        runs = StudyRuns(parent, (corpus.name, corpus.digest))
        if joined_run_id():
            runs.adopt(joined_run_id())
    return Search(request, options, space, storage, study, runs, corpus, tracks, on_folds, device)


def sides(fold: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of a fold by split."""
    return {side: fold[fold["split"] == side] for side in ("train", "val")}


def default_name(corpus: Corpus, space: Space) -> str:
    """Name of the study of a corpus and a space, whose files may have any name."""
    name = f"{corpus.name}-{space.name}"
    return "".join("_" if c in FORBIDDEN_IN_NAMES else c for c in name)


def find_study(name: str, storage: Storage, pruner: optuna.pruners.BasePruner) -> Study:
    """The study of this name, created if there is none. Raises `StudyError` for another kind."""
    study = optuna.create_study(
        study_name=name,
        storage=storage.optuna,
        sampler=make_sampler("random", 0, 0),
        pruner=pruner,
        direction="minimize",
        load_if_exists=True,
    )
    if study.directions != [StudyDirection.MINIMIZE]:
        directions = ", ".join(d.name.lower() for d in study.directions)
        raise StudyError(
            f"study {name!r} in {storage.name} has the direction {directions}; genre-mlflow "
            "minimizes validation loss: name another --study"
        )
    return study


def identity(request: Request, space: Space, corpus: Corpus) -> dict[str, Any]:
    """What must be the same for all that work on one study."""
    fixed = {
        name: as_text(value)
        for name, value in request.options.flat().items()
        if name not in NOT_COMPARED and name not in space.parameters
    }
    fixed["folds"] = as_text(request.folds if request.trials_on_folds else 0)
    fixed["grouping"] = digest(corpus.split.grouped)  # others would deal other folds
    if "table" in fixed:  # wherever it lies
        fixed["table"] = request.options.family.data_digest()
    return {
        "space": space.plain(),
        "corpus": {"name": corpus.name, "digest": corpus.digest},
        "options": fixed,
    }


def begin(study: Study, wanted: Mapping[str, Any]) -> None:
    """Record what a new study is about, or compare an old one. Raises `StudyError`."""
    recorded = study.user_attrs.get(OURS)
    if recorded is None:
        if study.get_trials(deepcopy=False):
            raise StudyError(
                f"study {study.study_name!r} is no study of genre-mlflow; name another --study"
            )
        study.set_user_attr(OURS, dict(wanted))
        return
    differing = differences(recorded, wanted)
    if differing:
        raise StudyError(
            f"study {study.study_name!r} is another one: {'; '.join(differing)}; repeat what it "
            "began with, or name another --study"
        )


def differences(recorded: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What is not the same, in words."""
    found = []
    old, new = recorded["space"], wanted["space"]
    if canonical(old) != canonical(new):
        names = [n for n in sorted({*old, *new}) if canonical(old.get(n)) != canonical(new.get(n))]
        found.append(
            "its space differs in "
            + ", ".join(
                f"{n} (was {old.get(n, 'fixed')}, now {new.get(n, 'fixed')})" for n in names
            )
        )
    before, now = recorded["corpus"], wanted["corpus"]
    if before["digest"] != now["digest"]:
        found.append(
            f"its corpus was {before['name']} with the digest {before['digest']}, now "
            f"{now['name']} with {now['digest']}"
        )
    pairs = changes(recorded["options"], wanted["options"])
    found += [f"{name} was {was}, now {is_now}" for name, (was, is_now) in pairs.items()]
    return found


def fill_queue(study: Study, request: Request, space: Space, queue: list[dict[str, Any]]) -> None:
    """Queue the setting of the command line first, then known good ones, then the grid.

    What has been queued or tried is not queued again. Of a grid, only as many as are asked for.
    """
    if not study.get_trials(deepcopy=False):
        study.enqueue_trial(space.nearest(request.options), user_attrs={WHY: DEFAULTS})
    for setting in queue:
        study.enqueue_trial(setting, user_attrs={WHY: "enqueued"}, skip_if_exists=True)
    if request.sampler == "grid":
        settings = space.grid(request.options)
        random.Random(request.options.training.seed).shuffle(settings)
        for setting in settings[: request.trials]:
            study.enqueue_trial(setting, user_attrs={WHY: "grid"}, skip_if_exists=True)
