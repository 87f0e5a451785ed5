"""Real servers that die and come back, and a proxy that holds or loses their answers."""

import http.client
import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from support import tracking_server


class MortalServer:
    """A real MLflow server in a folder; it keeps its address when it comes back."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.url = folder, ""
        self.stack = ExitStack()
        self.start()

    def start(self) -> None:
        """Start it, on the port that it has had."""
        self.url, self.process = self.stack.enter_context(
            tracking_server(self.folder, "", self.url)
        )

    def kill(self) -> None:
        """As a power cut would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Proxy(ThreadingHTTPServer):
    """Stands before a server; `open` is cleared to hold answers, `lose` says to which requests none
    comes although the server has done what was asked.
    """

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), Forward)
        self.target = urlsplit(target).netloc
        self.open = threading.Event()
        self.open.set()
        self.lose: list[str] = []  # patterns, each of one request
        self.lost: list[str] = []
        self.lock = threading.Lock()

    def loses(self, request: str) -> bool:
        """Whether the answer to a request is to be lost."""
        with self.lock:
            for pattern in self.lose:
                if re.search(pattern, request):
                    self.lose.remove(pattern)
                    self.lost.append(request)
                    return True
        return False


class Forward(BaseHTTPRequestHandler):
    """Passes a request on."""

    server: Proxy

    def forward(self) -> None:
        """To the server, and its answer back, unless that is held or lost."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = self.chunks()
        headers = {k: v for k, v in self.headers.items() if k.lower() not in HOPS}
        with closing(http.client.HTTPConnection(self.server.target)) as upstream:
            upstream.request(self.command, self.path, body, headers)
            with upstream.getresponse() as answer:
                content = answer.read()
        if self.server.loses(f"{self.command} {self.path}"):
            self.close_connection = True
            return
        self.server.open.wait(HELD_S)
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOPS:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward

    def chunks(self) -> bytes:
        """A body that comes in pieces."""
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, *words: object) -> None:
        """Says nothing."""


HELD_S = 25  # less than a training waits for an answer
HOPS = ("connection", "transfer-encoding", "content-length", "host", "server", "date")


@contextmanager
def proxy_of(target: str) -> Iterator[Proxy]:
    """A proxy until the block ends; its address is that of `server_address`."""
    with Proxy(target) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield proxy
        proxy.open.set()
        proxy.shutdown()
