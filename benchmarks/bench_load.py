"""Clients that ask a server all at once for as long as asked: memory, latency and errors.

A model as a training of the defaults leaves it, `genre-mlflow serve` on this machine, images and
recordings of 30 s in turns, one in eight. A line a minute; growth shows in its column of memory.

    python benchmarks/bench_load.py [--minutes 60] [--clients 8] [--command mlflow]
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from threading import Event, Thread

import psutil
from bench_serving import logged_model, some
from endpoint import body_of, free_port, mlflows, ours, post, resident_mb, serving
from real_data import real_data

from genre_mlflow.corpus.folders import look_below

SONG_EVERY = 8
FILES = 64
COMMANDS = {"genre-mlflow": ours, "mlflow": mlflows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--step-s", type=float, default=60, help="seconds to a line")
    parser.add_argument("--command", default="genre-mlflow", choices=COMMANDS)
    args = parser.parse_args()
    data = real_data()
    songs = some(look_below(data / "gtzan-audio")[0], FILES)
    bodies = [body_of(path.read_bytes()) for path in some(look_below(data / "gtzan-mel")[0], FILES)]
    bodies[::SONG_EVERY] = [body_of(path.read_bytes()) for path in songs[::SONG_EVERY]]
    with tempfile.TemporaryDirectory() as folder:
        model, _ = logged_model(Path(folder))
        port = free_port()
        with serving(COMMANDS[args.command](model, port), port) as server:
            post(port, bodies[0])
            watch(server, Clients(port, bodies, args.clients), 60 * args.minutes, args.step_s)


class Clients:
    """Threads that each send one request after the other, and what they have seen."""

    def __init__(self, port: int, bodies: list[bytes], n: int) -> None:
        self.port, self.bodies, self.ended = port, bodies, Event()
        self.seconds: list[float] = []
        self.errors: list[str] = []
        self.threads = [Thread(target=self.ask, args=(i,)) for i in range(n)]

    def ask(self, number: int) -> None:
        """Until the end, each beginning with another file."""
        while not self.ended.is_set():
            number = (number + 1) % len(self.bodies)
            started = time.perf_counter()
            try:
                post(self.port, self.bodies[number])
            except OSError as error:
                self.errors.append(str(error))
                continue
            self.seconds.append(time.perf_counter() - started)


def watch(server: psutil.Process, clients: Clients, duration_s: float, step_s: float) -> None:
    """A line a step."""
    print("| s | answers | errors | p50, ms | p99, ms | RSS, MB |\n|---|---|---|---|---|---|")
    print(f"| 0 | 0 | 0 | | | {resident_mb(server):.0f} |", flush=True)
    for thread in clients.threads:
        thread.start()
    started, seen, before_s = time.monotonic(), 0, processor_s(server)
    try:
        while (passed_s := time.monotonic() - started) < duration_s:
            time.sleep(min(step_s, duration_s - passed_s))
            some, seen = clients.seconds[seen:], len(clients.seconds)
            at = f"{time.monotonic() - started:.0f}"
            show(at, some, len(clients.errors), resident_mb(server))
    finally:
        clients.ended.set()
        for thread in clients.threads:
            thread.join()
    show("all", clients.seconds, len(clients.errors), resident_mb(server))
    used_ms = 1000 * (processor_s(server) - before_s) / max(1, len(clients.seconds))
    print(f"{used_ms:.1f} ms of processors an answer, server alone")
    for error in sorted(set(clients.errors))[:5]:
        print(error)


def processor_s(server: psutil.Process) -> float:
    """Seconds that a server's processes have had of processors."""
    used = [one.cpu_times() for one in (server, *server.children(recursive=True))]
    return float(sum(times.user + times.system for times in used))


def show(at: str, seconds: list[float], n_errors: int, memory_mb: float) -> None:
    """One line."""
    ordered = sorted(seconds) or [float("nan")]
    p99 = ordered[int(0.99 * len(ordered))]
    latency = f"{1000 * statistics.median(ordered):.1f} | {1000 * p99:.1f}"
    print(f"| {at} | {len(seconds)} | {n_errors} | {latency} | {memory_mb:.0f} |", flush=True)


if __name__ == "__main__":
    main()
