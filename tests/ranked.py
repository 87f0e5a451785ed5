"""`torchrun ranked.py words...`: our command line, whose second process has another clock.

`HIT` in the environment, as `rank target call signal`: a signal on the way of one process.
"""

import os
import time

from processes import Hit

from genre_mlflow.cli.main import main
from genre_mlflow.files.ranks import own_rank

if __name__ == "__main__":
    if own_rank().number == 1:
        now = time.time
        time.time = lambda: now() - 86_400
    number, target, call, signal = os.environ.get("HIT", "none x 1 0").split()
    if str(own_rank().number) == number:
        Hit(target, (int(signal),), int(call)).prepare()
    main(prog_name="genre-mlflow")
