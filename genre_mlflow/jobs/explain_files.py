"""Files explained: a picture each, and if asked for the map as a table."""

import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from genre_mlflow import signals
from genre_mlflow.corpus.folders import check_paths
from genre_mlflow.errors import DataError, SettingsError
from genre_mlflow.evaluation.explain import Explanation, check_genre, explain, method_for
from genre_mlflow.features.muting import muted_decoders
from genre_mlflow.figures.explanations import explanation_figure
from genre_mlflow.figures.image import save_figure
from genre_mlflow.files.atomic import atomic_write
from genre_mlflow.files.names import file_names, printable
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.tracking.classifiers import load
from genre_mlflow.training.device import choose_device

DIGITS = 5  # of the numbers in a table


def check_files(files: Sequence[str]) -> None:
    """Raise `DataError` for what is not there, and for a folder."""
    check_paths(files)
    folders = [path for path in files if os.path.isdir(path)]
    if folders:
        raise DataError(f"{folders[0]} is a folder; name the files to explain")


def check_out(out: str) -> None:
    """Make the folder that pictures go to. Raises `SettingsError` where none can be written."""
    try:
        os.makedirs(out, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        reason = error.strerror or error
        raise SettingsError(f"--out is {out!r}, where no file can be written: {reason}") from error


def explainable(model: str, genre: str | None, method: str, device: str) -> tuple[Classifier, str]:
    """The classifier on its device, and the method. Raises `GenreError`."""
    place = choose_device(device)
    classifier = load(model)
    method = method_for(classifier, method)
    check_genre(classifier, genre)
    classifier.network.to(place)
    return classifier, method


def explain_files(
    classifier: Classifier,
    files: Sequence[str],
    genre: str | None,
    method: str,
    out: Path,
    *,
    csv: bool = False,
) -> Iterator[tuple[str, bool]]:
    """Explain files one by one; a line of each, and whether it could be explained."""
    names = names_of(files)
    with muted_decoders():
        for path in dict.fromkeys(files):
            signals.check()
            try:
                found = explain(classifier, path, genre, method)
            except DataError as error:
                reason = str(error).removeprefix(f"{path} ")
                yield f"{printable(Path(path))}  error: {reason}", False
                continue
            picture = out / f"{names[path]}.png"
            save_figure(explanation_figure(Path(path).name, [found]), picture)
            if csv:
                with atomic_write(out / f"{names[path]}.csv") as file:
                    table_of(found).to_csv(file)
            yield f"{printable(Path(path))}  {in_words(found)}  {printable(picture)}", True


def names_of(files: Sequence[str]) -> dict[str, str]:
    """A name for the picture of each file: its own, or where two have one, its whole path."""
    own = {path: Path(path).name for path in files}
    counts = Counter(own.values())
    words = {path: name if counts[name] == 1 else path for path, name in own.items()}
    names = file_names(words.values())
    return {path: names[word] for path, word in words.items()}


def in_words(found: Explanation) -> str:
    """The answer, and what is explained if that is another genre."""
    answer = f"{found.prediction.genre} {found.prediction.confidence:.3f}"
    if found.genre != found.prediction.genre:
        answer += f", {found.genre} {found.prediction.probabilities[found.genre]:.3f} explained"
    return answer


def table_of(found: Explanation) -> pd.DataFrame:
    """The map, a row a frame by its seconds and a column a band by its lower edge in Hz."""
    columns = [f"{edge:.5g}" for edge in found.edges[:-1]]
    index = pd.Index(found.times.round(3), name="seconds")
    return pd.DataFrame(found.map.round(DIGITS), index, columns)
