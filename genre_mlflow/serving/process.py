"""The process that answers: MLflow's scoring server, in an interpreter that knows nothing of ours.

Run by its path, and imports nothing of this package: the model brings the code that it was logged
with, which may be that of another version. Arguments: the folder of the model, the number of a
listening socket, and whether the folder is a copy, to be deleted when all is answered: the model's
code and files lie in it.
"""

import gc
import shutil
import signal
import socket
import sys
from typing import Any

USER_MISTAKE, INTERRUPTED, TERMINATED = 2, 128 + signal.SIGINT, 128 + signal.SIGTERM


def main(folder: str, descriptor: str, is_copy: str) -> None:
    """Load the model, then answer until a signal comes."""
    # uvicorn closes what is open at a signal, and sends it on: what follows is tidied all the same.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        app = load(folder)
        answer(app, socket.socket(fileno=int(descriptor)))
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    finally:
        if int(is_copy):
            shutil.rmtree(folder, ignore_errors=True)


def load(folder: str) -> Any:
    """MLflow's application with the model of a folder; ends the process where it cannot be had."""
    gc.disable()  # it would find nothing in what is imported, and look through it again and again
    try:
        from mlflow.pyfunc import load_model, scoring_server

        return scoring_server.init(load_model(folder))
    except Exception as error:  # of the model's own code
        words = " ".join(str(error).split()) or type(error).__name__
        print(f"Error: the model in {folder} cannot be served: {words}", file=sys.stderr)
        raise SystemExit(USER_MISTAKE) from None
    finally:
        gc.freeze()
        gc.enable()


def answer(app: Any, listener: socket.socket) -> None:
    """Serve, several requests side by side, each in a thread of Python's."""
    import uvicorn

    host, port = listener.getsockname()[:2]
    print(f"Serving at http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)
    uvicorn.Server(uvicorn.Config(app)).run(sockets=[listener])


if __name__ == "__main__":
    main(*sys.argv[1:])
