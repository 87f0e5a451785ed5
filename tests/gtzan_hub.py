"""A small collection in the manner of the GTZAN, and a server that hands it out as the Hub does."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import sounds

from genre_mlflow.corpus.gtzan.collection import Collection
from genre_mlflow.corpus.gtzan.download import ARCHIVE, REPOSITORY, REVISION

SIDES = ("train", "val", "test", "excluded")
TRACKS = [f"{genre}.{i:05d}" for genre in ("blues", "jazz", "rock") for i in range(4)]
CORRUPT = "jazz.00004"
PATH = f"/datasets/{REPOSITORY}/resolve/{REVISION}/{ARCHIVE}"


@cache
def sound_of(track: str, kind: str = "WAV") -> bytes:
    """A recording of 1.2 s that no other track shares."""
    if track == CORRUPT:
        return b"no sound at all"
    n = TRACKS.index(track)
    return sounds.encode(sounds.tone(1.2, 200.0 + 50 * n, seed=n), kind, "PCM_16")


@cache
def small_collection(archive_sha256: str = "") -> Collection:
    """Three genres of four tracks, one on each side, and a corrupt one."""
    sides = {track: SIDES[int(track[-1])] for track in TRACKS} | {CORRUPT: "corrupt"}
    return Collection(sides, {t: sha256_of(sound_of(t)) for t in sides}, archive_sha256)


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def tarball(files: Iterable[tuple[str, bytes]], link: tuple[str, str] | None = None) -> bytes:
    """A .tar.gz in memory; `link`: name and target of a symbolic link at its beginning."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        if link:
            member = tarfile.TarInfo(link[0])
            member.type, member.linkname = tarfile.SYMTYPE, link[1]
            archive.addfile(member)
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return gzip.compress(buffer.getvalue(), compresslevel=1)


class Hub(ThreadingHTTPServer):
    """Serves one archive at the address of the collection.

    `cut_at`: after so many bytes the connection breaks off, and the next request is refused, once.
    `requests`: method and range of each. `sha256`: of the archive, which it announces as its ETag.
    """

    def __init__(self, archive: bytes, cut_at: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.sha256 = sha256_of(archive)
        self.archive, self.cut_at, self.broken = archive, cut_at, False
        self.requests: list[tuple[str, str]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, with_body: bool) -> None:
        hub, asked = self.server, self.headers.get("Range", "")
        if self.path != PATH:
            self.send_error(404)
            return
        hub.requests.append((self.command, asked))
        if with_body and hub.broken:
            hub.broken = False
            self.send_error(500)
            return
        start = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
        size = len(hub.archive)
        self.send_response(206 if asked else 200)
        self.send_header("ETag", f'"{hub.sha256}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(size - start))
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.end_headers()
        if with_body:
            end = hub.cut_at or size
            self.wfile.write(hub.archive[start:end])
            hub.broken, hub.cut_at = bool(hub.cut_at), 0


@contextmanager
def serving(archive: bytes, cut_at: int = 0) -> Iterator[Hub]:
    """The server, until the end of the block."""
    hub = Hub(archive, cut_at)
    thread = Thread(target=hub.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        thread.join()
        hub.server_close()
