"""The process that answers: MLflow's scoring server, in an interpreter that knows nothing of ours.

Run by its path, and imports nothing of this package: the model brings the code that it was logged
with, which may be that of another version. Arguments: the folder of the model, the number of a
bound socket, and whether the folder is a copy, to be deleted once it has been read.
"""

import gc
import shutil
import socket
import sys
from typing import Any

USER_MISTAKE = 2


def main(folder: str, descriptor: str, is_copy: str) -> None:
    """Load the model, then answer until a signal comes."""
    try:
        app = load(folder, bool(int(is_copy)))
        listener = socket.socket(fileno=int(descriptor))
        listener.listen()
    except Exception as error:  # of the model's own code, or of whoever has the port by now
        words = " ".join(str(error).split()) or type(error).__name__
        print(f"Error: the model in {folder} cannot be served: {words}", file=sys.stderr)
        raise SystemExit(USER_MISTAKE) from None
    answer(app, listener)


def load(folder: str, is_copy: bool) -> Any:
    """MLflow's application with the model of a folder."""
    gc.disable()  # it would find nothing in what is imported, and look through it again and again
    try:
        from mlflow.pyfunc import load_model, scoring_server

        return scoring_server.init(load_model(folder))
    finally:
        gc.freeze()
        gc.enable()
        if is_copy:
            shutil.rmtree(folder)


def answer(app: Any, listener: socket.socket) -> None:
    """Serve, several requests side by side, each in a thread of Python's."""
    import uvicorn

    host, port = listener.getsockname()[:2]
    print(f"Serving at http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)
    uvicorn.Server(uvicorn.Config(app)).run(sockets=[listener])


if __name__ == "__main__":
    main(*sys.argv[1:])
