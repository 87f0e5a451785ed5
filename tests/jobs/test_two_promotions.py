"""Two promotions at once, in two processes: against one champion, one of them wins."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gated
import pytest
from databases import database
from gated import NAME
from processes import server
from support import store_in

from genre_mlflow.jobs import gate
from genre_mlflow.jobs.promote import demote, promote
from genre_mlflow.tracking.locks import champion_lock
from genre_mlflow.tracking.registry import RegisteredModel

WAIT_S = 120


@contextmanager
def store_of(kind: str, folder: Path) -> Iterator[None]:
    """A SQLite store, or one on PostgreSQL."""
    if kind == "sqlite":
        with store_in(folder):
            yield
    else:
        with database() as address, store_in(folder, uri=address):
            yield


def promoting(env: dict[str, str], version: str, judged: Any, said: Any) -> None:
    """What a process does: it judges, waits until the others have, and goes on."""
    os.environ.clear()
    os.environ.update(env)
    gate.check_answers = lambda uri, *, fresh: judged.wait(WAIT_S)
    result = promote(NAME, version=version)
    said.put((version, result.promoted, result.reason))


@pytest.mark.slow  # PostgreSQL's tables, and processes
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_of_two_that_have_beaten_one_champion_one_takes_its_place(kind, tmp_path):
    with store_of(kind, tmp_path):
        for right in ((10, 10), (30, 30), (32, 32)):
            gated.register(*right)
        context = server()
        judged, said = context.Barrier(2), context.Queue()
        processes = [context.Process(target=promoting, args=(dict(os.environ), v, judged, said))
                     for v in ("2", "3")]  # fmt: skip
        for process in processes:
            process.start()
        results = sorted((said.get(timeout=WAIT_S) for _ in processes), key=lambda one: one[1])
        for process in processes:
            process.join(WAIT_S)
        (loser, *lost), (winner, *won) = results
        assert (lost[0], won[0]) == (False, True)
        assert lost[1] == (
            f"the champion changed while version {loser} was judged, from version 1 to version "
            f"{winner}; promote it again to have it judged against that"
        )
        assert gated.champion() == winner
        model = RegisteredModel(NAME)
        kept = [model.tags(model.get(version)) for version in (winner, loser)]
        assert [tags["gate"] for tags in kept] == ["promoted", "refused"]
        assert (kept[0]["replaced"], "replaced" in kept[1]) == ("1", False)


def demoting(env: dict[str, str], said: Any) -> None:
    """What another process does."""
    os.environ.clear()
    os.environ.update(env)
    said.put("begins")
    said.put(demote(NAME).reason)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_whoever_changes_the_champion_waits_for_whoever_does(kind, tmp_path):
    with store_of(kind, tmp_path):
        for right in ((10, 10), (30, 30)):
            gated.register(*right)
        model = RegisteredModel(NAME)
        context = server()
        said = context.Queue()
        process = context.Process(target=demoting, args=(dict(os.environ), said))
        with champion_lock():
            process.start()
            assert said.get(timeout=WAIT_S) == "begins"
            process.join(3)
            assert process.is_alive()
            model.set_tag(model.get("2"), "replaced", "1")
            model.set_alias("champion", model.get("2"))
        assert said.get(timeout=WAIT_S).startswith("version 1 is the champion again")
        process.join(WAIT_S)
        assert gated.champion() == "1"
