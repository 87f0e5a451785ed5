"""Processes of this machine as one group, started as `torchrun` does, but with less ado."""

import logging
import os
import signal
from collections.abc import Sequence

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run

from genre_mlflow.errors import RankError
from genre_mlflow.processes import THREADS, cores
from genre_mlflow.signals import FIRST_EXIT_CODE

TORCHRUN = "torch.distributed.elastic"  # logs pages of what one of ours has said in a line


def launch(procs: int, module: str, words: Sequence[str]) -> int:
    """Run `python -m module words...` in so many processes; the exit code of what ended first.

    They share the cores. Raises `RankError` where one was killed.
    """
    os.environ.setdefault(THREADS, str(max(1, cores() // procs)))
    for name in [name for name in logging.root.manager.loggerDict if name.startswith(TORCHRUN)]:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # each of them has a level of its own
    options = ["--standalone", "--nproc-per-node", str(procs), "-m", module]
    try:
        run(parse_args([*options, *words]))
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0:
            name = signal.Signals(-failure.exitcode).name
            raise RankError(f"rank {rank} was killed by {name}; the others have ended") from error
        return int(failure.exitcode)
    except SignalException as error:
        return FIRST_EXIT_CODE + error.sigval
    return 0
