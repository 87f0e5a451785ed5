"""The logged models of a run: one for each epoch that is kept, and the one that is served."""

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelOutput, Run
from mlflow.exceptions import MlflowException

from genre_mlflow.errors import GenreError
from genre_mlflow.tracking.artifacts import delete_files

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # on the disk, for the user, for the process


class ModelsOfRun:
    """What a run does with its logged models; `linked`: ids of those that are its outputs."""

    def __init__(self, client: MlflowClient, entity: Run) -> None:
        self.client = client
        self.id: str = entity.info.run_id
        self.experiment_id: str = entity.info.experiment_id
        outputs = entity.outputs.model_outputs if entity.outputs else []
        self.linked = {output.model_id for output in outputs}

    def create_model(self, name: str, kind: str, epoch: int, **more: str) -> str:
        """Open a logged model of one of its epochs; return the model's id.

        `more`: further parameters of the model.
        """
        entry = self.client.create_logged_model(
            self.experiment_id,
            name=name,
            source_run_id=self.id,
            model_type=kind,
            params={"epoch": str(epoch), **more},
        )
        return str(entry.model_id)

    def models(self, words: str = "") -> list[LoggedModel]:
        """All its logged models; `words` is a further filter in MLflow's language."""
        found: list[LoggedModel] = []
        token = None
        while True:
            page = self.client.search_logged_models(
                experiment_ids=[self.experiment_id],
                filter_string=f"source_run_id = '{self.id}'{words}",
                page_token=token,
            )
            found += page
            token = page.token
            if not token:
                return found

    @contextmanager
    def model_folder(self, model_id: str, path: str | None = None) -> Iterator[Path]:
        """A folder to write into, logged into a model below `path` when the block has ended.

        A disk that is full, where the files lie on this machine, keeps none of them.
        """
        with tempfile.TemporaryDirectory() as name:
            yield Path(name)
            try:
                self.client.log_model_artifacts(model_id, name, path)
            except OSError as error:
                if error.errno in NO_ROOM:
                    self.drop_what_came(model_id, Path(name), path)
                raise

    def drop_what_came(self, model_id: str, folder: Path, path: str | None) -> None:
        """Delete what has been logged of a folder: the state of the run may need the room."""
        with suppress(MlflowException, GenreError, OSError):  # the first error is the one to tell
            location = self.client.get_logged_model(model_id).artifact_location
            for below in folder.iterdir():
                with suppress(GenreError):  # not every file has begun to come
                    delete_files(location, f"{path}/{below.name}" if path else below.name)

    def finish_model(self, model_id: str, epoch: int) -> None:
        """Say that a logged model is whole, and an output of this run."""
        self.client.finalize_logged_model(model_id, "READY")
        if model_id not in self.linked:  # MLflow refuses a second link
            self.client.log_outputs(self.id, [LoggedModelOutput(model_id, step=epoch)])
            self.linked.add(model_id)

    def drop_model_file(self, model_id: str, path: str) -> None:
        """Delete a file of a logged model, if it is there."""
        if path in [entry.path for entry in self.client.list_logged_model_artifacts(model_id)]:
            delete_files(self.client.get_logged_model(model_id).artifact_location, path)

    def hide_model(self, model_id: str) -> None:
        """Delete the entry of a logged model."""
        self.client.delete_logged_model(model_id)
