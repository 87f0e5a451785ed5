"""Hugging Face's own library reads the metadata, and nothing asks a network."""

import socket

import pytest
from huggingface_hub import ModelCard

from genre_mlflow.jobs.card.card import model_card
from genre_mlflow.jobs.card.metadata import METRICS, dataset_id, front_matter


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a network is asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_hugging_face_reads_what_the_card_says(make_facts):
    facts = make_facts()
    card = ModelCard(model_card(facts))
    data = card.data
    assert card.text.lstrip().startswith("# genre-classifier\n")
    assert (data.pipeline_tag, data.library_name) == ("audio-classification", "genre-mlflow")
    assert data.datasets == ["music"]
    assert data.metrics == ["accuracy", "balanced_accuracy", "f1"]
    assert "vgg" in data.tags
    assert data.model_name == "genre-classifier"
    values = {result.metric_type: result.metric_value for result in data.eval_results}
    assert values == {"accuracy": 0.75, "balanced_accuracy": 0.75, "f1": 0.8571}
    first = data.eval_results[0]
    assert first.metric_name == "Accuracy (95 % interval 0.301 to 0.954)"
    assert (first.dataset_split, first.dataset_revision) == ("test", facts.digest)
    assert {kind for kind, _ in METRICS.values()} == values.keys()


@pytest.mark.parametrize(
    ("options", "licence", "name"),
    [
        ({}, "unknown", None),
        ({"data": "demo"}, "apache-2.0", None),
        ({"data_licence": "CC-BY-NC-SA-4.0"}, "cc-by-nc-sa-4.0", None),
        ({"data_licence": "mine: {all} 'yes'"}, "other", "mine: {all} 'yes'"),
        ({"data": "demo", "data_licence": "mit"}, "mit", None),
    ],
)
def test_the_licence_is_the_one_that_was_stated(make_facts, options, licence, name):
    data = ModelCard("\n".join(front_matter(make_facts(options=options)))).data
    assert (data.license, data.license_name) == (licence, name)


@pytest.mark.parametrize("corpus", ["my music", "---", 'a: "b" #c', "Zürich\n", "ノイズ"])
def test_any_name_of_a_corpus_is_read_back(make_facts, corpus):
    data = ModelCard("\n".join(front_matter(make_facts(corpus=corpus)))).data
    assert data.eval_results[0].dataset_name == corpus.replace("\n", "\\n")
    assert data.datasets == [dataset_id(corpus)]
    assert data.datasets[0].isascii()
