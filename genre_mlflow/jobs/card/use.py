"""Sections of the card about using the model: what it is, what goes in and comes out, limits."""

import re
from collections.abc import Sequence

from genre_mlflow.features.colours import COLOUR_MAPS
from genre_mlflow.features.formats.kinds import OWN, WITH_FFMPEG
from genre_mlflow.features.settings import KEPT, MUSICNN, UNDONE, PreprocessingSettings
from genre_mlflow.files.words import counted
from genre_mlflow.jobs.card.facts import EXPLANATIONS, ModelFacts, RunFacts
from genre_mlflow.jobs.card.markup import block, code, picture, plain

PIXELS = {
    UNDONE: f"levels in dB, the colour map undone ({', '.join(COLOUR_MAPS)})",
    KEPT: "red, green and blue",
}
DRAWN = """each is drawn as an image of its {features} features. Of an image, a uniform frame is
taken off, the rest becomes {height} rows of {width} pixels (antialiased): {pixels}."""
HEARD = "{patches} of 3 s, evenly over each, become log-mel matrices of 96 bands."
IMAGES = "Or PNG or JPEG of any mode, one image a track."
NO_IMAGES = "An image gets an error: this model hears sound alone."
INPUT = """Recordings of 1 s to 1 h as {own};
as {with_ffmpeg}
where the program ffmpeg is on the machine that answers. Without it, and no Python package brings
it, such a file gets an error that says so. {images}

A recording is mixed to one channel, resampled to {rate:,} Hz and cut into segments of
{segment_s:g} s; {seen} The answers for the segments become one by their {aggregation}. The model
holds these steps: send it the file's bytes.
It answers with the genre, its probability and the probabilities of all genres."""
KNOWN_DOUBTS = {  # by the figure that is there where it is known
    "sure_from": "all likely genres, and whether it is unsure",
    "test_foreign": "whether the sound is foreign",
}
NO_DOUBTS = """It does not say when it is unsure or the sound is foreign: nobody knows."""
USE = """To sort music, make playlists and suggest a genre, to people who can overrule it. Not to
decide about people, their rights or what they are paid for."""
LIMITS = """Genres are conventions of whoever labelled the corpus. Where one artist's tracks lie in
train and in test, as in most random splits, accuracy on unknown artists is lower than stated here.
Music unlike that of the corpus (other genres, periods, qualities of recording) is answered too."""

EXPLAINED = re.compile(r"^## Explanations\n.*?(?=^## )", re.MULTILINE | re.DOTALL)


def introduction(facts: ModelFacts) -> list[str]:
    """What the model is."""
    genres = ", ".join(plain(genre) for genre in facts.genres)
    return [
        f"# {plain(facts.options.model.model_name)}",
        "",
        f"A network ({plain(str(facts.options.family))}) that tells {len(facts.genres)} music "
        "genres apart, from recordings or from",
        f"images of their spectrograms: {genres}.",
    ]


def explanations(facts: RunFacts) -> list[str]:
    """What has been added to the run that shows what its answers rest on."""
    if not facts.explanations:
        return []
    pictures = [path for path in facts.explanations if path.lower().endswith(".png")]
    files = [f"- {code(path)}" for path in facts.explanations]
    shown = [line for path in pictures for line in ("", picture(path, plain(name_of(path))))]
    return ["## Explanations", "", "Among the artifacts of the run:", "", *files, *shown]


def same_explanations(card: str, other: str) -> str:
    """A card with the explanations that another one tells of, or with none."""
    told = EXPLAINED.search(other)
    return EXPLAINED.sub(lambda _: told[0] if told else "", card)


def name_of(path: str) -> str:
    """What a picture is called, in words."""
    return path.removeprefix(f"{EXPLANATIONS}/").rpartition(".")[0].replace("_", " ")


def input_and_output(facts: ModelFacts) -> list[str]:
    """What goes in, what becomes of it, and what comes out."""
    pictures = facts.options.preprocessing
    hears = pictures.features == MUSICNN
    text = INPUT.format(
        own=either(OWN),
        with_ffmpeg=either(WITH_FFMPEG),
        images=NO_IMAGES if hears else IMAGES,
        rate=pictures.spectrogram.sample_rate,
        segment_s=pictures.segment_s,
        seen=what_is_heard(pictures) if hears else what_is_seen(pictures),
        aggregation=facts.options.model.aggregate,
    )
    return ["## Input and output", "", text]


def doubts(facts: RunFacts) -> list[str]:
    """What else an answer tells, as far as its limits are known."""
    known = [words for name, words in KNOWN_DOUBTS.items() if name in facts.metrics]
    return [f"Beside that it tells {', and '.join(known)}." if known else NO_DOUBTS]


def either(names: Sequence[str]) -> str:
    """Names with an "or" before the last."""
    return f"{', '.join(names[:-1])} or {names[-1]}"


def what_is_seen(pictures: PreprocessingSettings) -> str:
    """What becomes of a segment, or of an image."""
    _, height, width = pictures.shape
    pixels = PIXELS[pictures.colours]
    return DRAWN.format(features=pictures.features, height=height, width=width, pixels=pixels)


def what_is_heard(pictures: PreprocessingSettings) -> str:
    """What becomes of a segment that is not drawn."""
    return HEARD.format(patches=counted(pictures.n_patches, "piece"))


def use(facts: ModelFacts) -> list[str]:
    """What it is for, and how it is asked."""
    command = f"genre-mlflow predict song.mp3 --model {facts.model}"
    return ["## Use", "", USE, "", *block(command, "sh")]


def limits(facts: ModelFacts) -> list[str]:
    """What its figures do not say."""
    return ["## Limits", "", LIMITS]
