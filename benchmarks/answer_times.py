"""Answers for one file after the other, as a process of its own: prints the seconds of each.

Reads names of files from its input. With another checkout on PYTHONPATH it is that one's code that
answers, so that before and after are measured in turns.

    python benchmarks/answer_times.py MODEL_FOLDER < names
"""

import sys
import time
from pathlib import Path

from genre_mlflow.model.classifier import Classifier


def main() -> None:
    classifier = Classifier.load(Path(sys.argv[1]))
    if hasattr(classifier, "settle"):
        classifier.settle()
    print("ready", flush=True)
    for line in sys.stdin:
        content = Path(line.rstrip("\n")).read_bytes()
        started = time.perf_counter()
        classifier.predict(content)
        print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main()
