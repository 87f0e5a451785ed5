"""Files that MLflow keeps: where they lie, fetched, deleted, and told of when they are gone."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

import mlflow
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.models_artifact_repo import ModelsArtifactRepository
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.uri import is_local_uri

from genre_mlflow.errors import ModelError
from genre_mlflow.tracking.addresses import SQLITE, hidden, sqlite_file
from genre_mlflow.tracking.store import (
    environment,
    first_words,
    in_our_words,
    package_of,
    store_errors,
)

WITHOUT_BARS = {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
ARTIFACTS = "mlruns"  # MLflow's own name for the folder beside its database
NO_SUCH_FOLDER = "genre-mlflow-looks-whether-it-can-read-here"


@contextmanager
def fetched(uri: str) -> Iterator[Path]:
    """A copy of what `uri` names, until the block ends. Raises `ModelError`."""
    with tempfile.TemporaryDirectory() as folder:
        with artifact_errors(uri), environment(WITHOUT_BARS):
            check_is_there(uri, place_of(uri))
            path = Path(download_artifacts(artifact_uri=uri, dst_path=folder))
        yield path


@contextmanager
def artifact_errors(uri: str) -> Iterator[None]:
    """Turn what goes wrong with the files of `uri` in the block into a `ModelError`."""
    try:
        yield
    except OSError as error:
        raise ModelError(f"{uri} cannot be read: {error}") from error
    except MlflowException as error:
        raise ModelError(
            f"{in_our_words(str(error.message))} (looked for in the store "
            f"{hidden(mlflow.get_tracking_uri())})"
        ) from error


def place_of(uri: str) -> str:
    """The address of the folder with the files of a model; another address is its own."""
    if not uri.startswith("models:"):
        return uri
    return str(ModelsArtifactRepository.get_underlying_uri(uri))


def readable_place(uri: str) -> str:
    """The same for people: a path where it is one."""
    place = place_of(uri)
    path = local_path(place)
    return place if path is None else str(path)


def read_file(name: str, location: str, path: str, folder: Path) -> Path:
    """Download one file of what is called `name`, below an artifact location, into `folder`.

    Raises `ModelError`.
    """
    check_is_there(name, location)
    try:
        repository = get_artifact_repository(location)
        return Path(repository.download_artifacts(path, str(folder)))
    except (MlflowException, OSError) as error:
        raise ModelError(f"{name} has no {path} in {location}") from error


def bytes_below(location: str, path: str, name: str) -> int:
    """Bytes of all files of a name below a path within an artifact location."""
    repository, folders, found = get_artifact_repository(location), [path], 0
    while folders:
        for entry in repository.list_artifacts(folders.pop()):
            if entry.is_dir:
                folders.append(entry.path)
            elif entry.path.rpartition("/")[2] == name:
                found += entry.file_size or 0
    return found


def delete_files(location: str, path: str | None = None) -> None:
    """Delete files below an artifact location, and keep the entry they belong to."""
    with store_errors():
        get_artifact_repository(location).delete_artifacts(path)


def local_path(location: str) -> Path | None:
    """The folder of an artifact location on this machine, None for one elsewhere."""
    return Path(local_file_uri_to_path(location)) if is_local_uri(location) else None


def check_is_there(name: str, location: str) -> None:
    """Raise `ModelError` where a local artifact location is gone, with what may have happened."""
    folder = local_path(location)
    if folder is not None and not folder.exists():
        raise ModelError(
            f"the files of {name} are gone: they were in {folder}{hint_of_move(folder)}"
        )


def hint_of_move(gone: Path) -> str:
    """What to do where files are gone because the project was moved; empty for other reasons."""
    before = moved_from(gone)
    if before is None:
        return ""
    here = sqlite_file(mlflow.get_tracking_uri()).parent
    return (
        f"; the project was moved to {here}: move it back, or say where it is now by "
        f"ln -s {quote(str(here))} {quote(str(before))}"
    )


def moved_from(gone: Path) -> Path | None:
    """The folder of a project before it was moved, with its store, from where `gone` was.

    MLflow's own places are `PROJECT/mlruns/ID/...`, and the store is `PROJECT/mlflow.db`.
    """
    uri = mlflow.get_tracking_uri()
    if not uri.startswith(SQLITE) or ARTIFACTS not in gone.parts:
        return None
    before = gone
    while before.name != ARTIFACTS:
        before = before.parent
    here = sqlite_file(uri).parent
    moved = (here / ARTIFACTS).is_dir() and here != before.parent
    return before.parent if moved else None


def is_out_of_reach(location: str) -> bool:
    """Whether even the project is gone in which a local artifact location lies, or would be made.

    It was moved, is on a disk that is not here, or on another machine.
    """
    folder = local_path(location)
    return folder is not None and not folder.exists() and not folder.parent.parent.exists()


def check_usable(location: str) -> None:
    """Ask a store of artifacts elsewhere a question. Raises `ModelError`, for want of a package
    for example, before anything is opened that would be left without its files.
    """
    if local_path(location) is not None:
        return
    try:
        get_artifact_repository(location).list_artifacts(NO_SUCH_FOLDER)
    except ImportError as error:
        raise ModelError(
            f"artifacts in {hidden(location)} need a package that is not installed here: "
            f"{package_of(error)}"
        ) from error
    except Exception as error:  # each kind of store has exceptions of its own
        raise ModelError(
            f"artifacts cannot be kept in {hidden(location)}: {first_words(error)}"
        ) from error
