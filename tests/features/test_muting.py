"""What decoders print on their own does not reach the terminal."""

import os
import subprocess
import sys


def test_what_decoders_print_is_lost_and_what_python_prints_is_not():
    script = (
        "import os, sys\nfrom genre_mlflow.features.muting import muted_decoders\n"
        "with muted_decoders():\n    os.write(2, b'noise ')\n"
        "    print('ours \\u2603', file=sys.stderr)\n"
        "os.write(2, b'later ')\nprint('end', file=sys.stderr)"
    )
    env = os.environ | {"PYTHONIOENCODING": "ascii:backslashreplace"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env)
    assert done.stderr.split() == ["ours", "\\u2603", "later", "end"]
