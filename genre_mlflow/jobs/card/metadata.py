"""The card's metadata as Hugging Face reads it, checked by its own library without a network."""

import re
from collections.abc import Mapping, Sequence

import yaml
from huggingface_hub import EvalResult, ModelCardData

from genre_mlflow.corpus.settings import DEMO
from genre_mlflow.evaluation import metrics
from genre_mlflow.files.names import escaped
from genre_mlflow.jobs.card.corpus import DEMO_LICENCE
from genre_mlflow.jobs.card.facts import ModelFacts, RunFacts

TASK = "audio-classification"
LIBRARY = "genre-mlflow"
# Hugging Face's names of licences that music may have; another one is `other`, with its own name.
LICENCES = {
    "apache-2.0", "mit", "cc0-1.0", "unlicense", "odc-by", "odbl", "pddl",
    *(f"cc-by{kind}-{version}" for kind in ("", "-sa", "-nc", "-nd", "-nc-sa", "-nc-nd")
      for version in ("2.0", "2.5", "3.0", "4.0")),
}  # fmt: skip
METRICS = {  # of ours, by what Hugging Face calls them, and what people do
    "accuracy": ("accuracy", "Accuracy"),
    "balanced_accuracy": ("balanced_accuracy", "Balanced accuracy"),
    "macro_f1": ("f1", "Macro F1"),
}
DIGITS = 4


def front_matter(facts: RunFacts) -> list[str]:
    """The metadata in YAML between two lines of dashes."""
    ends = {name: (found.low, found.high) for name, found in facts.intervals.items()}
    return written(
        metadata(facts, results(facts, "test", metrics.measures(facts.units["test"]), ends))
    )


def written(found: ModelCardData) -> list[str]:
    """Metadata in YAML, as Hugging Face will read it."""
    text = found.to_yaml()
    read = ModelCardData(**yaml.safe_load(text))
    assert read.to_dict() == found.to_dict(), "what is written is what Hugging Face will read"
    return ["---", text, "---"]


def metadata(facts: ModelFacts, found: Sequence[EvalResult]) -> ModelCardData:
    """Licence, library, tags, data and results, in Hugging Face's own classes."""
    stated, name = licence(facts)
    return ModelCardData(
        license=stated,
        license_name=name,
        library_name=LIBRARY,
        tags=["music", "genre-classification", "mlflow", facts.options.model.network],
        pipeline_tag=TASK,
        datasets=[dataset_id(facts.corpus)],
        metrics=sorted({kind for kind, _ in METRICS.values()}),
        model_name=facts.options.model.model_name,
        eval_results=[*found],
    )


def results(
    facts: ModelFacts,
    split: str,
    values: Mapping[str, float],
    ends: Mapping[str, tuple[float, float]],
) -> list[EvalResult]:
    """Figures of a split by their names, with the ends of their intervals where these are known."""
    found = []
    for name, (kind, words) in METRICS.items():
        low_high = ends.get(name)
        interval = " (95 % interval {:.3f} to {:.3f})".format(*low_high) if low_high else ""
        found.append(
            EvalResult(
                task_type=TASK,
                dataset_type=dataset_id(facts.corpus),
                dataset_name=escaped(facts.corpus),
                dataset_split=split,
                dataset_revision=facts.digest,
                metric_type=kind,
                metric_name=words + interval,
                metric_value=round(values[name], DIGITS),
            )
        )
    return found


def dataset_id(corpus: str) -> str:
    """The name of a corpus in the letters that names of data sets have."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", corpus).strip("-.") or "music"


def licence(facts: ModelFacts) -> tuple[str, str | None]:
    """The licence of the data, as far as it is known: nobody has stated one for the model.

    Hugging Face's name for it, and its own where that is `other`.
    """
    stated = facts.options.corpus.data_licence
    if not stated and facts.options.corpus.data == DEMO:
        stated = DEMO_LICENCE
    if not stated:
        return "unknown", None
    if stated.lower() in LICENCES:
        return stated.lower(), None
    return "other", stated
