"""Small studies on a real store."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from store_fixtures import make_corpus  # noqa: F401
from support import EXPERIMENT, small_options

from search.request import Request


@pytest.fixture(scope="session")
def music(
    tmp_path_factory: pytest.TempPathFactory,
    make_corpus: Callable[..., Path],  # noqa: F811
) -> Path:
    """A small corpus that all tests share."""
    return make_corpus(tmp_path_factory.mktemp("search") / "music")


@pytest.fixture(scope="session")
def make_request(music: Path) -> Callable[..., Request]:
    """Requests for two epochs a trial and no final training, unless told otherwise."""

    def make(**changes: object) -> Request:
        flat = {name: changes.pop(name) for name in ("epochs", "seed", "lr") if name in changes}
        options = small_options(music, **{"epochs": 2, **flat})
        request = Request(options, EXPERIMENT, trials=3, final_seeds=0, pruner="none")
        return replace(request, **changes)

    return make
