"""The model card (Mitchell et al. 2019, arXiv:1810.03993): what a model is and is worth."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from genre_mlflow.corpus.settings import ALL, KINDS, SplitSettings
from genre_mlflow.evaluation import metrics
from genre_mlflow.evaluation.intervals import (
    metric_intervals,
    readable,
    report_with_intervals,
    small_sentence,
)
from genre_mlflow.evaluation.predictions import by_recording, part
from genre_mlflow.features.colours import COLOUR_MAPS
from genre_mlflow.features.formats.kinds import OWN, WITH_FFMPEG
from genre_mlflow.features.settings import KEPT, MUSICNN, UNDONE, PreprocessingSettings
from genre_mlflow.files.words import counted
from genre_mlflow.options import TrainOptions
from genre_mlflow.settings import as_text

TEMPLATE = """# {model_name}

A network ({network}) that tells {n_genres} music genres apart, from recordings or from
images of their spectrograms: {genres}.

## Results

{chosen} The test set was read {reads}, after that choice.
Accuracy is per track; segments of one track in files of their own are one, which answers with their
mean. The interval (Wilson, 95 %) takes the tracks as independent, which tracks of one
artist are not.

| split | tracks | accuracy | 95 % interval | macro F1 | balanced accuracy | top-3 accuracy |
|---|---|---|---|---|---|---|
{results}
{intervals}{small}
Test set by genre, with intervals of 95 % (of the averages a bootstrap's, of a genre at least
Wilson's):

{report}

## Data

Corpus `{corpus}`: {train} files to train on, {val} to validate, {test} to test;
{formats}.
{leak}
The manifest with every track's checksum, split and format is in `data/manifest.csv`, faults of the
corpus are in `data/faults.json`.

## Input and output

Recordings of 1 s to 1 h as {own};
as {with_ffmpeg}
where the program ffmpeg is on the machine that answers. Without it, and no Python package brings
it, such a file gets an error that says so. {images}

A recording is mixed to one channel, resampled to {rate:,} Hz and cut into segments of
{segment_s:g} s; {seen} The answers for the segments become one by their {aggregation}. The model
holds these steps: send it the file's bytes.
It answers with the genre, its probability and the probabilities of all genres. {calibration}

## Training

{training}{origin}

## Limits

Genres are conventions of whoever labelled the corpus. Where one artist's tracks lie in train and
in test, as in most random splits, accuracy on unknown artists is lower than stated here.
"""

NO_COPIES = "Copies (equal pixels or samples) are never in two splits."
NO_GROUPS = " Nor are groups of the table `{table}`, by {columns}."
LEAK = "**A leak: {leak}; the test says too much.** All of them are in `data/faults.json`."
LET = " `--allow-leak` has let them."
BEST = "Weights of the epoch with the least validation loss."
FIRST = """The rows of train and validation are of a first network, of its epoch with the least
validation loss. Then """
AGAIN = """a network was trained anew on train and validation together, for as many epochs as the
first was"""
TAUGHT = "one network learnt what the {networks} answer (distillation)"
LAST = "; its last weights are this model, and the row of the test set is theirs."
PIXELS = {
    UNDONE: f"levels in dB, the colour map undone ({', '.join(COLOUR_MAPS)})",
    KEPT: "red, green and blue",
}
MEASURES = ("accuracy", "balanced accuracy", "macro F1", "top-3 accuracy", "loss")
DRAWN = """each is drawn as an image of its {features} features. Of an image, a uniform frame is
taken off, the rest becomes {height} rows of {width} pixels (antialiased): {pixels}."""
HEARD = "{patches} of 3 s, evenly over each, become log-mel matrices of 96 bands."
IMAGES = "Or PNG or JPEG of any mode, one image a track."
NO_IMAGES = "An image gets an error: this model hears sound alone."


def model_card(
    options: TrainOptions,
    corpus: str,
    counts: Mapping[str, int],
    formats: str,
    leak: str,
    predictions: pd.DataFrame,
    test_reads: Sequence[str],
    calibration: str,
) -> str:
    """The card in Markdown, from the options and the predictions table.

    `formats`: of the files of the corpus. `leak`: what is on two sides of the split, or empty.
    `test_reads`: of each time that the test set was read,
    when, and after how many epochs. `calibration`: how far the probabilities can be believed.
    """
    units = {split: by_recording(part(predictions, split)) for split in counts}
    report = readable(report_with_intervals(units["test"]))
    genres = [str(g) for g in report["genre"][:-2]]
    small = small_sentence(units["test"])
    pictures = options.preprocessing
    hears = pictures.features == MUSICNN
    seen = what_is_heard(pictures) if hears else what_is_seen(pictures)
    return TEMPLATE.format(
        chosen=chosen(options),
        model_name=options.model.model_name,
        network=options.family,
        n_genres=len(genres),
        genres=", ".join(genres),
        reads=f"{times(len(test_reads))} ({'; '.join(test_reads)})",
        results="\n".join(result_row(split, table) for split, table in units.items()),
        intervals=intervals_line(units["test"]),
        small=f"\n**{small}.**\n" if small else "",
        report=markdown_table(report),
        corpus=corpus,
        formats=formats,
        own=either(OWN),
        with_ffmpeg=either(WITH_FFMPEG),
        leak=what_leaks(options.split, leak),
        images=NO_IMAGES if hears else IMAGES,
        rate=pictures.spectrogram.sample_rate,
        seen=seen,
        calibration=calibration,
        segment_s=pictures.segment_s,
        aggregation=options.model.aggregate,
        training=", ".join(f"{k} {as_text(v)}" for k, v in training_options(options).items()),
        origin=f"\n\n{options.family.origin()}" if options.family.origin() else "",
        **counts,
    )


def chosen(options: TrainOptions) -> str:
    """Which weights the model has."""
    steps = [AGAIN] * options.training.refit
    steps += [TAUGHT.format(networks=options.family)] * options.training.distil
    return FIRST + ", and of these ".join(steps) + LAST if steps else BEST


def what_leaks(dealing: SplitSettings, leak: str) -> str:
    """What is on two sides of the split, or what is on none."""
    if leak:
        return LEAK.format(leak=leak) + LET * dealing.allow_leak
    columns = " and ".join(KINDS) if dealing.group_by == ALL else dealing.group_by
    table = Path(dealing.groups).name
    return NO_COPIES + NO_GROUPS.format(table=table, columns=columns) * bool(table)


def times(n: int) -> str:
    """How often, in words."""
    return {1: "once", 2: "twice"}.get(n, f"{n} times")


def either(names: Sequence[str]) -> str:
    """Names with an "or" before the last."""
    return f"{', '.join(names[:-1])} or {names[-1]}"


def training_options(options: TrainOptions) -> dict[str, object]:
    """Options of network and training alone."""
    settings = {**vars(options.family), **vars(options.augmentation), **vars(options.training)}
    return {"network": options.model.network, **settings}


def what_is_seen(pictures: PreprocessingSettings) -> str:
    """What becomes of a segment, or of an image."""
    _, height, width = pictures.shape
    pixels = PIXELS[pictures.colours]
    return DRAWN.format(features=pictures.features, height=height, width=width, pixels=pixels)


def what_is_heard(pictures: PreprocessingSettings) -> str:
    """What becomes of a segment that is not drawn."""
    return HEARD.format(patches=counted(pictures.n_patches, "piece"))


def result_row(split: str, table: pd.DataFrame) -> str:
    """One row of the table of results."""
    low, high = metrics.accuracy_interval(table)
    m = metrics.measures(table)
    return (
        f"| {split} | {len(table)} | {m['accuracy']:.1%} | {low:.1%} to {high:.1%} "
        f"| {m['macro_f1']:.3f} | {m['balanced_accuracy']:.1%} | {m['top3_accuracy']:.1%} |"
    )


def intervals_line(table: pd.DataFrame) -> str:
    """What the test set's figures may be on other tracks, or artists, of the same kind."""
    found = metric_intervals(table)
    if not found:
        return ""
    n = found["accuracy"].n
    over = counted(n, "track") if n == len(table) else f"{counted(n, 'group')} of tracks"
    rows = "\n".join(
        f"| {words} | {interval.mean:.3f} | {interval.low:.3f} to {interval.high:.3f} |"
        for words, interval in zip(MEASURES, found.values(), strict=True)
    )
    return (
        f"\nThe test set, with intervals of 95 % over {over} (a bootstrap; of accuracy and top-3 "
        f"accuracy at least Wilson's):\n\n"
        f"| | test | 95 % interval |\n|---|---|---|\n{rows}\n"
    )


def markdown_table(table: pd.DataFrame) -> str:
    """A pipe table."""
    rows = [list(table.columns), ["---"] * table.shape[1], *table.to_numpy().tolist()]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)
