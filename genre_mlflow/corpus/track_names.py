"""Finding the tracks that a list means: by id or bare name, with an ending or without."""

import unicodedata

import pandas as pd

from genre_mlflow.corpus.folders import without_ending
from genre_mlflow.corpus.manifest import recording_of
from genre_mlflow.errors import DataError
from genre_mlflow.files.words import few


def short_names(track_ids: "pd.Series[str]") -> dict[str, list[str]]:
    """Track ids by their full and their bare name, and by those of the recording.

    In Unicode's composed form: systems differ in how they write an accent.
    """
    names: dict[str, list[str]] = {}
    for track in track_ids:
        full = {composed(track), composed(recording_of(track))}
        for name in full | {name.rsplit("/", 1)[-1] for name in full}:
            names.setdefault(name, []).append(track)
    return names


def composed(name: str) -> str:
    """A name in Unicode's form NFC."""
    return unicodedata.normalize("NFC", name)


def find_tracks(name: str, names: dict[str, list[str]]) -> list[str]:
    """The track that a list means by `name`, or all segments of that recording, or none.

    A list may have the names of files, with their endings.
    """
    name = composed(name)
    found = names.get(name) or names.get(without_ending(name), [])
    if name not in names:
        name = without_ending(name)
    exact = [track for track in found if composed(track) == name]
    if exact:
        recording = recording_of(exact[0])
        return [track for track in found if recording_of(track) == recording]
    if len({recording_of(track) for track in found}) > 1:
        raise DataError(f"{name!r} could be any of {few(found)}; write the id with its folder")
    return found
