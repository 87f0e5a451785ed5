"""Kills, signals and broken files at random, until something gives way.

Small by default; large by hand: `--kills 200 --signals 20 --files 10000`. Training and searching
are killed at random moments and given again, until they are done: final weights must be those of a
run that was never stopped. Signals reach every long command, once or twice. Files are flipped, cut,
joined and given other headers, and go through the preprocessor, the scan and the served model.
Each finding is a line; any finding is exit code 1.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import campaign_commands
import campaign_files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=6, help="of training, and half as many again")
    parser.add_argument("--signals", type=int, default=1, help="of each command")
    parser.add_argument("--files", type=int, default=120, help="that are broken")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    findings: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project = campaign_commands.prepare(folder)
        if given.kills:
            findings += campaign_commands.kill_training(folder, given.kills, given.seed)
            findings += campaign_commands.kill_searches(folder, given.kills // 2, given.seed)
        if given.signals:
            findings += campaign_commands.send_signals(folder, given.signals, given.seed)
        if given.files:
            findings += campaign_files.break_files(project, folder, given.files, given.seed)
    print(f"\n{len(findings)} findings")
    for finding in findings:
        print(f"- {finding}")
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
