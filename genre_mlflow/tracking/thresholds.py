"""Limits on a model's figures, which MLflow validates."""

from collections.abc import Mapping

from mlflow import validate_evaluation_results
from mlflow.models import MetricThreshold
from mlflow.models.evaluation import EvaluationResult
from mlflow.models.evaluation.validation import ModelValidationFailedException


def exceeded(figures: Mapping[str, float], limits: Mapping[str, float]) -> list[str]:
    """Which figures are above their limit; one without a limit is not, one that is no number is.

    One at a time, for MLflow tells all that fail in one text, and in its own words.
    """
    return [name for name in figures if name in limits and not holds(figures, name, limits[name])]


def holds(figures: Mapping[str, float], name: str, limit: float) -> bool:
    """Whether MLflow validates a figure against the most that it may be."""
    threshold = MetricThreshold(threshold=float(limit), greater_is_better=False)
    try:
        validate_evaluation_results({name: threshold}, EvaluationResult(dict(figures), {}, ""))
    except ModelValidationFailedException:
        return False
    return True
