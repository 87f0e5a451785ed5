"""What the card says, from what a run knows."""

import pandas as pd
import pytest

from genre_mlflow.evaluation.statistics import wilson_interval
from genre_mlflow.jobs.card.card import SECTIONS, Section, model_card
from genre_mlflow.jobs.card.corpus import data
from genre_mlflow.jobs.card.facts import RunFacts
from genre_mlflow.jobs.card.results import baseline, most_confused
from genre_mlflow.jobs.card.use import doubts, explanations, limits, same_explanations

GTZAN = ["blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae",
         "rock"]  # fmt: skip


def said(facts: RunFacts, *sections: Section) -> str:
    """Some sections of the card, which take less time than all."""
    return "\n\n".join("\n".join(lines) for section in sections if (lines := section(facts)))


def test_the_card_counts_recordings(make_facts):
    card = model_card(make_facts())
    assert "\nThey are calibrated.\n" in card
    assert (
        "12 to test;\n20 FLAC, 16 MP4, 16 of them by ffmpeg 7.1.\n"
        "Copies (equal pixels or samples) are never in two splits.\n"
    ) in card
    assert "as M4A, AAC, WMA" in card and "\nwhere the program ffmpeg is on the machine" in card
    assert "The test set was read once (now), after that choice." in card
    assert "| test | 4 | 75.0% | 30.1% to 95.4% | 0.857 | 75.0% | 100.0% |\n" in card
    assert "\nThe test set, with intervals of 95 % over 4 tracks (a bootstrap; of acc" in card
    assert "\n| balanced accuracy | 0.750 | 0.250 to 1.000 |\n" in card
    recall = wilson_interval(3, 4)
    cell = f"0.750 ({recall.low:.3f} to {recall.high:.3f})"
    precision = f"1.000 ({wilson_interval(3, 3).low:.3f} to 1.000)"
    assert f"\n| jazz | {precision} | {cell} | 0.857 (" in card
    assert "\n**A small test set: fewer than 10 tracks of rock (0), jazz (4).**\n" in card
    assert "\n| jazz | rock | 1 |\n" in card


def test_every_section_speaks_and_a_section_without_words_is_left_out(make_facts):
    facts = make_facts()
    silent = [section.__name__ for section in SECTIONS if not section(facts)]
    assert silent == ["explanations"]
    assert "\n\n\n" not in model_card(facts)


@pytest.mark.parametrize(
    ("metrics", "told"),
    [
        ({}, "It does not say when it is unsure or the sound is foreign: nobody knows."),
        ({"sure_from": 0.5}, "Beside that it tells all likely genres, and whether it is unsure."),
        ({"test_foreign": 0.0}, "Beside that it tells whether the sound is foreign."),
        ({"sure_from": 0.5, "test_foreign": 0.0}, "Beside that it tells all likely genres, and "
         "whether it is unsure, and whether the sound is foreign."),
    ],
)  # fmt: skip
def test_what_is_told_of_doubt_is_what_is_known(make_facts, metrics, told):
    assert said(make_facts(metrics=metrics), doubts) == told


def test_a_column_of_groups_is_no_markup(make_facts):
    card = said(make_facts(options={"groups": "g.csv", "group_by": "<b>*x*"}), data)
    assert "<b>" not in card and "*x*" not in card


def test_digests_of_data_and_test_set_are_told(make_facts):
    facts = make_facts()
    card = said(facts, data)
    assert f"| data and split | `{facts.digest}` |" in card
    assert f"| test set | `{facts.test_digest}` |" in card


@pytest.mark.parametrize(
    ("metrics", "line"),
    [
        ({}, ""),
        ({"baseline_test_accuracy": 0.5}, "has accuracy 50.0%."),
        (
            {"baseline_test_accuracy": 0.5, "gain_over_baseline": 0.25,
             "gain_over_baseline_low": -0.1, "gain_over_baseline_high": 0.6},
            "50.0%; this model has +25.0 points (95 % interval over tracks -10.0 to +60.0).",
        ),
    ],
)  # fmt: skip
def test_the_baseline_is_told_where_it_was_measured(make_facts, metrics, line):
    card = said(make_facts(metrics=metrics), baseline)
    assert line in card
    assert ("statistics baseline" in card) == bool(metrics)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "nobody has stated one (`--data-licence`)."),
        ({"data_licence": "CC-BY-4.0"}, "as whoever trained the model states it: CC-BY-4.0."),
        ({"data_licence": "mine | *all*"}, r"states it: mine \| \*all\*."),
        ({"data": "demo"}, "under\nits licence, Apache-2.0."),
        ({"data": "demo", "data_licence": "another"}, "states it: another."),
    ],
)
def test_the_licence_of_the_data_is_what_is_known_of_it(make_facts, options, words):
    card = said(make_facts(options=options), data)
    assert words in card
    assert card.count("Licence of the data") == 1
    assert "GTZAN" not in card


@pytest.mark.parametrize(("change", "is_gtzan"), [
    ({}, True), ({"jazz": "jazz.1"}, False), ({"jazz": "blues.00001"}, True),
    ({"rock": "rock.00001.seg001"}, True), ({"rock": "hymns.00001"}, False),
])  # fmt: skip
def test_a_corpus_called_as_gtzan_is_said_to_have_no_licence(make_facts, change, is_gtzan):
    names = {genre: f"{genre}.00000" for genre in GTZAN} | change
    rows = [(f"{genre}/{name}", genre, "test", name, "00") for genre, name in names.items()]
    columns = ["track_id", "genre", "split", "group", "sha256"]
    card = said(make_facts(manifest=pd.DataFrame(rows, columns=columns)), data)
    assert ("published without a licence" in card) == is_gtzan


def test_a_corpus_of_three_genres_is_not_gtzan(make_facts):
    rows = [("jazz/jazz.00000", "jazz", "test", "a", "00")]
    columns = ["track_id", "genre", "split", "group", "sha256"]
    facts = make_facts(manifest=pd.DataFrame(rows, columns=columns))
    assert "GTZAN" not in said(facts, data)


def test_faults_are_counted_and_new_kinds_are_told_too(make_facts):
    assert "The scan has found no fault in it." in said(make_facts(), data)
    faults = {"copies": [["a", "b"]], "bad_files": [], "odd_names": ["x", "y"]}
    card = said(make_facts(faults=faults), data)
    assert "| groups of copies (equal pixels or samples) | 1 |\n| odd names | 2 |\n" in card


def test_explanations_are_listed_and_pictures_shown(make_facts):
    files = ["explanations/bands.csv", "explanations/mean_map/blues 50%.png"]
    card = said(make_facts(explanations=files), explanations)
    assert "\n- `explanations/bands.csv`\n- `explanations/mean_map/blues 50%.png`\n" in card
    assert "\n![mean map/blues 50%](explanations/mean_map/blues%2050%25.png)" in card


def test_a_card_takes_over_the_explanations_of_another(make_facts):
    without, with_some = (
        said(make_facts(explanations=files), explanations, limits) for files in ([], ["a.png"])
    )
    assert same_explanations(with_some, without) == without
    assert same_explanations(with_some, with_some) == with_some


def test_what_is_confused_most_stands_first_and_nothing_else():
    matrix = pd.DataFrame([[5, 1, 0], [3, 0, 0], [0, 0, 9]]).to_numpy()
    rows = most_confused(matrix, ["a", "b", "c"])
    assert rows == [("b", "a", "3"), ("a", "b", "1")]
