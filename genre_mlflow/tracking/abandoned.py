"""A run whose process was killed, ended by another that was to work for it."""

import time

from genre_mlflow.errors import ModelError
from genre_mlflow.tracking.run import FAILED, RUNNING, TrackedRun
from genre_mlflow.tracking.sessions import hold
from genre_mlflow.tracking.store import open_store, store_errors

LOOK_S = 0.2


def end_abandoned(run_id: str, patience_s: float) -> bool:
    """Write FAILED where nobody holds a run any more that is still RUNNING; whether it was so.

    Who holds it may be ending it just now, and has so many seconds.
    """
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        try:
            with hold(run_id), store_errors():
                open_store()
                run = TrackedRun.find(run_id)
                is_abandoned = run.status == RUNNING
                if is_abandoned:
                    run.end(FAILED, in_haste=True)
                return is_abandoned
        except ModelError:  # it is held, or the store does not answer
            time.sleep(LOOK_S)
    return False
