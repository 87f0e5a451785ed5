"""Two models, or two sets of trainings, compared on the same test tracks, as a run of its own."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from genre_mlflow import signals
from genre_mlflow.errors import SettingsError
from genre_mlflow.evaluation import comparison
from genre_mlflow.evaluation.comparison import Comparison
from genre_mlflow.figures.gains import gains_figure
from genre_mlflow.figures.image import save_figure
from genre_mlflow.tracking.answers import Answers, find_answers
from genre_mlflow.tracking.experiments import experiment_id
from genre_mlflow.tracking.run import DESCRIPTION_TAG, TrackedRun
from genre_mlflow.tracking.sessions import in_hand
from genre_mlflow.tracking.store import find_store, store_errors

LONGEST_RUN_NAME = 250  # characters, MLflow's own limit


@dataclass(frozen=True)
class Compared:
    """The comparison of side A with side B, the names of both, and the run that keeps it.

    `other_files`: how many of the tracks are files with other bytes on the two sides.
    """

    run_id: str
    a: str
    b: str
    comparison: Comparison
    other_files: int

    def sentence(self) -> str:
        """What the one is better by, and whether that can be told from chance."""
        found = self.comparison
        if not found.tells_apart:
            return f"A and B cannot be told apart: A has {found.in_words}"
        better, worse = ("A", "B") if found.difference.mean > 0 else ("B", "A")
        return f"{better} is better than {worse}: A has {found.in_words}"


def compare(ones: Sequence[str], others: Sequence[str], *, experiment: str) -> Compared:
    """Compare what was answered on the same test tracks, and log it.

    `ones`, `others`: side A and side B, run ids or addresses of models; several are trainings of
    one setting with other seeds. Raises `GenreError`, before a run is opened, for what is not
    there, has no predictions, or was tested on other tracks.
    """
    find_store()
    with store_errors():
        sides = [[find_answers(address) for address in part] for part in (ones, others)]
        check_apart(*sides)
        tables = [[answers.predictions for answers in part] for part in sides]
        found = comparison.compare(*tables)
        a, b = (", ".join(answers.address for answers in part) for part in sides)
        place, name = experiment_id(experiment), f"compare {a} with {b}"[:LONGEST_RUN_NAME]
        signals.check()
        with in_hand(lambda: TrackedRun.create(place, name, {"task": "compare"})) as run:
            name_a, name_b = (", ".join(answers.name for answers in part) for part in sides)
            done = Compared(run.id, name_a, name_b, found, other_files([*sides[0], *sides[1]]))
            run.log_params({"a": a, "b": b})
            run.log_tags(tags_of([*sides[0], *sides[1]]) | {DESCRIPTION_TAG: description(done)})
            run.log_metrics(comparison_metrics(found), 0, int(time.time() * 1000))
            signals.check()
            log_files(run, done)
    return done


def check_apart(ones: Sequence[Answers], others: Sequence[Answers]) -> None:
    """Raise `SettingsError` for one and the same on both sides, or twice on one."""
    addresses = [answers.address for answers in (*ones, *others)]
    twice = sorted({address for address in addresses if addresses.count(address) > 1})
    if twice:
        raise SettingsError(f"{', '.join(twice)} is named twice; a comparison needs different ones")


def other_files(answers: Sequence[Answers]) -> int:
    """How many tracks of one name have other bytes in one of the corpora than in another.

    They may be other music, or the same as images and as recordings.
    """
    known: dict[str, set[str]] = {}
    for one in answers:
        for track, checksum in one.checksums().items():
            known.setdefault(track, set()).add(checksum)
    return sum(len(checksums) > 1 for checksums in known.values())


def tags_of(answers: Sequence[Answers]) -> dict[str, str]:
    """The corpus, where all have the same."""
    corpora = {one.run.tags.get("corpus", "") if one.run else "" for one in answers}
    return {"corpus": corpora.pop()} if len(corpora) == 1 else {}


def description(done: Compared) -> str:
    """What the UI says above the run."""
    return f"A: {done.a}\n\nB: {done.b}\n\n{done.sentence()}."


def comparison_metrics(found: Comparison) -> dict[str, float]:
    """Accuracy of both, the difference with its intervals, and McNemar's test, by their names."""
    values = {"a_accuracy": found.a, "b_accuracy": found.b, "tracks": float(found.n)}
    parts = {"difference": found.difference, "difference_over_tracks": found.over_tracks}
    for name, interval in parts.items():
        values |= {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}
    if found.over_groups:
        values["groups"] = found.over_groups.n
    if found.mcnemar:
        values["a_alone"], values["b_alone"] = found.mcnemar.only_one, found.mcnemar.only_other
        values["mcnemar_p"] = found.mcnemar.p
    return values


def log_files(run: TrackedRun, done: Compared) -> None:
    """Gains and losses by genre as table and figure, and the tracks with two answers."""
    with run.folder() as folder:
        (folder / "tables").mkdir()
        done.comparison.genres.round(4).to_csv(folder / "tables" / "genres.csv", index=False)
        done.comparison.tracks.round(4).to_csv(folder / "tables" / "tracks.csv", index=False)
        figure = gains_figure(done.comparison.genres, done.a, done.b)
        save_figure(figure, folder / "figures" / "gains.png")
