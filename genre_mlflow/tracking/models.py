"""A classifier as a logged model that MLflow serves."""

import io
import tempfile
import wave
from importlib.metadata import version
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import Map
from PIL import Image

import genre_mlflow
from genre_mlflow import served_model
from genre_mlflow.evaluation.predictions import write_predictions
from genre_mlflow.features.settings import MUSICNN, PreprocessingSettings
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.tracking.run import TrackedRun

MODEL_TYPE = "classifier"
WEIGHTS = "weights"  # parameter of a logged model: their digest
PREDICTIONS_FILE = "predictions.csv"
MODEL_PREDICTIONS = f"evaluation/{PREDICTIONS_FILE}"  # within the logged model
# What the served code imports, by the name of its distribution.
REQUIREMENTS = (
    "matplotlib", "mlflow", "numpy", "pandas", "pillow", "safetensors", "scipy", "soundfile",
    "soxr", "torch", "torchvision",
)  # fmt: skip
FOR_CHROMA = "librosa"
# A tone of 500 Hz: sixteen samples up, sixteen down.
EXAMPLE_HZ, EXAMPLE_S = 16_000, 3
EXAMPLE_WAVE = (b"\x00\x20" * 16) + (b"\x00\xe0" * 16)


def signature() -> ModelSignature:
    """A file in; genre, confidence, doubts, probabilities and the number of segments out.

    The column is text, base64 that the model decodes: a binary one MLflow would decode, dropping
    letters that it does not know, in two of its formats alone, and refuse a whole batch for a null.
    Bytes, as Spark and Python have them, pass as they are.

    Parameters may add columns, which MLflow's schema does not hold: `timeline`, `likely`, `error`.
    """
    return ModelSignature(
        inputs=Schema([ColSpec(DataType.string, served_model.CONTENT)]),
        outputs=Schema(
            [
                ColSpec(DataType.string, "genre"),
                ColSpec(DataType.double, "confidence"),
                ColSpec(DataType.boolean, "unsure", required=False),
                ColSpec(DataType.boolean, "foreign", required=False),
                ColSpec(Map(DataType.double), "probabilities"),
                ColSpec(DataType.long, "segments"),
            ]
        ),
        params=ParamSchema(
            [
                ParamSpec("top_k", DataType.long, 0),
                ParamSpec("timeline", DataType.boolean, False),
                ParamSpec("likely", DataType.boolean, False),
                ParamSpec("on_error", DataType.string, served_model.RAISE),
            ]
        ),
    )


def requirements(features: str) -> list[str]:
    """Pinned as they are installed here; a local build's suffix (`+cpu`) is left out."""
    names = [*REQUIREMENTS, FOR_CHROMA] if features == "chroma" else REQUIREMENTS
    return [f"{name}=={version(name).split('+')[0]}" for name in names]


def find_model(run: TrackedRun, classifier: Classifier) -> str | None:
    """The model with these weights that a run has logged before; a half one is deleted."""
    found, digest = run.models(f" AND name = '{MODEL_TYPE}'"), classifier.weights_digest
    for model in found:
        if model.status != "READY":
            run.hide_model(model.model_id)
    ours = [m for m in found if m.status == "READY" and m.params.get(WEIGHTS) == digest]
    return str(ours[0].model_id) if ours else None


def log_classifier(run: TrackedRun, classifier: Classifier, epoch: int) -> str:
    """Log the classifier as a pyfunc model of `run` and return the model's id."""
    digest = {WEIGHTS: classifier.weights_digest}
    model_id = run.create_model(MODEL_TYPE, MODEL_TYPE, epoch, **digest)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, served_model.ARTIFACT)  # its name is kept inside the model
        classifier.save(folder)
        Model.log(
            artifact_path=None,
            name=MODEL_TYPE,
            flavor=mlflow.pyfunc,
            run_id=run.id,
            model_id=model_id,
            step=epoch,
            python_model=served_model.__file__,
            artifacts={served_model.ARTIFACT: str(folder)},
            code_paths=[str(Path(genre_mlflow.__file__).parent)],
            pip_requirements=requirements(classifier.preprocessing.features),
            signature=signature(),
            input_example=input_example(classifier.preprocessing),
        )
    return model_id


def log_predictions(run: TrackedRun, model_id: str, predictions: pd.DataFrame) -> None:
    """Keep the table beside the model: a run that goes on may log another model and table."""
    parent, _, name = MODEL_PREDICTIONS.rpartition("/")
    with run.model_folder(model_id, parent) as folder:
        write_predictions(predictions, folder / name)


def input_example(preprocessing: PreprocessingSettings) -> pd.DataFrame:
    """One small image, as a client would send it, or a tone where sound alone is heard."""
    buffer = io.BytesIO()
    if preprocessing.features == MUSICNN:
        with wave.open(buffer, "wb") as file:
            file.setparams((1, 2, EXAMPLE_HZ, 0, "NONE", ""))  # one channel, of 16 bits
            file.writeframes(EXAMPLE_WAVE * (EXAMPLE_S * EXAMPLE_HZ // 32))
    else:
        _, height, width = preprocessing.shape
        Image.linear_gradient("L").resize((width, height)).save(buffer, "PNG")
    return pd.DataFrame({served_model.CONTENT: [buffer.getvalue()]})
