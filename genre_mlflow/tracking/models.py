"""A classifier as a logged model that MLflow serves."""

import io
import tempfile
from importlib.metadata import version
from pathlib import Path

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import Map
from PIL import Image

import genre_mlflow
from genre_mlflow import served_model
from genre_mlflow.model.classifier import Classifier

MODEL_TYPE = "classifier"
# What the served code imports, by the name of its distribution.
REQUIREMENTS = (
    "matplotlib", "mlflow", "numpy", "pandas", "pillow", "safetensors", "scipy", "soundfile",
    "soxr", "torch", "torchvision",
)  # fmt: skip
FOR_CHROMA = "librosa"


def signature() -> ModelSignature:
    """Bytes in; genre, confidence, a map of probabilities and the number of segments out.

    Parameters may add columns, which MLflow's schema does not hold: `timeline`, `error`.
    """
    return ModelSignature(
        inputs=Schema([ColSpec(DataType.binary, served_model.CONTENT)]),
        outputs=Schema(
            [
                ColSpec(DataType.string, "genre"),
                ColSpec(DataType.double, "confidence"),
                ColSpec(Map(DataType.double), "probabilities"),
                ColSpec(DataType.long, "segments"),
            ]
        ),
        params=ParamSchema(
            [
                ParamSpec("top_k", DataType.long, 0),
                ParamSpec("timeline", DataType.boolean, False),
                ParamSpec("on_error", DataType.string, served_model.RAISE),
            ]
        ),
    )


def requirements(features: str) -> list[str]:
    """Pinned as they are installed here; a local build's suffix (`+cpu`) is left out."""
    names = [*REQUIREMENTS, FOR_CHROMA] if features == "chroma" else REQUIREMENTS
    return [f"{name}=={version(name).split('+')[0]}" for name in names]


def log_classifier(client: MlflowClient, run: Run, classifier: Classifier, step: int) -> str:
    """Log the classifier as a pyfunc model of `run` and return the model's id."""
    entry = client.create_logged_model(
        run.info.experiment_id,
        name=MODEL_TYPE,
        source_run_id=run.info.run_id,
        model_type=MODEL_TYPE,
        params={"epoch": str(step)},
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, served_model.ARTIFACT)  # its name is kept inside the model
        classifier.save(folder)
        Model.log(
            artifact_path=None,
            name=MODEL_TYPE,
            flavor=mlflow.pyfunc,
            run_id=run.info.run_id,
            model_id=entry.model_id,
            step=step,
            python_model=served_model.__file__,
            artifacts={served_model.ARTIFACT: str(folder)},
            code_paths=[str(Path(genre_mlflow.__file__).parent)],
            pip_requirements=requirements(classifier.preprocessing.features),
            signature=signature(),
            input_example=input_example(classifier.preprocessing.image_size),
        )
    return str(entry.model_id)


def input_example(size: int) -> pd.DataFrame:
    """One small image, as a client would send it."""
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((size, size)).save(buffer, "PNG")
    return pd.DataFrame({served_model.CONTENT: [buffer.getvalue()]})
