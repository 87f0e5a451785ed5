"""Run as a script in a process of its own, which MLflow loads a model in, and which is asked.

    python -P asked.py once URI FILE OUT ENVIRONMENT   # one answer by `mlflow.models.predict`
    python -P asked.py often URI FILE                  # one answer a line of input, and its cost

`FILE` is a request as a server gets it. It imports nothing of ours: the model brings its own code.
"""

import json
import os
import resource
import sys
import time

import mlflow

UV = "uv"
TOLD = "Non-zero exit code"  # MLflow's word for a process that has told itself what is wrong


def ask_once(uri: str, file: str, out: str, environment: str) -> None:
    """Have MLflow answer the request in an environment that it builds, or in this one (`local`)."""
    # What is installed where we are must not be found in there.
    apart = {"extra_envs": {"PYTHONPATH": ""}} if environment == UV else {}
    try:
        mlflow.models.predict(
            uri, input_path=file, output_path=out, env_manager=environment, **apart
        )
    except Exception as error:
        if TOLD not in str(error):
            raise
        sys.exit(1)


def ask_often(uri: str, file: str) -> None:
    """Load the model once, and answer for each line of input: milliseconds, megabytes so far."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what the model prints is no answer
    import pandas as pd

    with open(file) as sent:
        request = pd.DataFrame(**json.load(sent)["dataframe_split"])
    model = mlflow.pyfunc.load_model(uri)
    for _ in sys.stdin:
        start = time.perf_counter()
        model.predict(request)
        print(f"{1000 * (time.perf_counter() - start):.4f} {peak_mb():.1f}", file=answers)


def peak_mb() -> float:
    """The most memory that this process has had at once, in megabytes.

    `ru_maxrss` counts on Linux what its parent had when it was started.
    """
    try:
        with open("/proc/self/status") as status:
            line = next(line for line in status if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


if __name__ == "__main__":
    if sys.argv[1] == "once":
        ask_once(*sys.argv[2:])
    else:
        ask_often(*sys.argv[2:])
