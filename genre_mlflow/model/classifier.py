"""A trained classifier: network, preprocessing settings and genre names as one object."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from genre_mlflow.errors import DataError, GenreError, ModelError
from genre_mlflow.features.preprocessing import Preprocessor
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.files.atomic import atomic_write
from genre_mlflow.memory import MemoryShortage, out_of_memory
from genre_mlflow.model.aggregation import aggregate
from genre_mlflow.model.answering import made_to_answer
from genre_mlflow.model.doubt import UNKNOWN, Doubt
from genre_mlflow.model.familiarity import Familiarity, n_statistics, statistics_of
from genre_mlflow.model.family import Family
from genre_mlflow.model.networks import KNOWN, NETWORKS, family, name_of
from genre_mlflow.model.settings import AGGREGATIONS, check_model
from genre_mlflow.model.weights import to_safetensors

CONFIG_FILE = "classifier.json"
WEIGHTS_FILE = "weights.safetensors"
FAMILIARITY_FILE = "familiarity.safetensors"
DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError)
DIGEST_CHARACTERS = 12
BATCH = 32  # segments that the network sees at once
SMALLER = "free some, or take a model of a smaller image_size or widths"
FORMAT = 8  # of the folder; raise it when an older version could not read it


@dataclass(frozen=True)
class SegmentPrediction:
    """What a classifier says of one segment, which lies at these seconds of the recording."""

    start_s: float
    end_s: float
    probabilities: dict[str, float]


@dataclass(frozen=True)
class Prediction:
    """What a classifier says of one track: probabilities by genre, which sum to 1.

    `timeline`: one entry a segment; empty where the answer was made from pixels alone. `unsure`:
    the confidence is too low for the precision that was asked for in training. `likely`: so many
    genres that the right one is mostly among them, the most probable first. `foreign_score`: how
    far the sound lies from the music that was learnt from, 0 or more; from 1 on it is `foreign`.
    None where too few tracks were held out to know.
    """

    probabilities: dict[str, float]
    timeline: tuple[SegmentPrediction, ...] = ()
    unsure: bool | None = None
    likely: tuple[str, ...] | None = None
    foreign_score: float | None = None

    @property
    def genre(self) -> str:
        """The most probable genre."""
        return max(self.probabilities, key=lambda genre: self.probabilities[genre])

    @property
    def confidence(self) -> float:
        """Its probability."""
        return self.probabilities[self.genre]

    @property
    def foreign(self) -> bool | None:
        """Whether it sounds like nothing that was learnt from, such as noise, or speech."""
        return None if self.foreign_score is None else self.foreign_score > 1

    def top(self, k: int) -> dict[str, float]:
        """The `k` most probable genres, the most probable first."""
        ranked = sorted(self.probabilities.items(), key=lambda item: -item[1])
        return dict(ranked[:k])


class Classifier:
    """Predicts the genre of a spectrogram or a recording.

    `network` is the torch module: uint8 `[B, C, H, W]` to logits `[B, genres]`; `temperature` is
    what these are divided by, so that confidences mean something (1 where nobody has fitted it);
    `aggregation` is how the answers for the segments of a track become one; `doubt` and
    `familiarity` say when it does not know, as soon as training has found out.
    """

    def __init__(
        self,
        genres: Sequence[str],
        network_settings: Family,
        preprocessing: PreprocessingSettings,
        aggregation: str = AGGREGATIONS[0],
        temperature: float = 1.0,
        doubt: Doubt = UNKNOWN,
    ) -> None:
        self.genres = tuple(genres)
        self.network_settings = network_settings
        self.preprocessing = preprocessing
        self.aggregation = aggregation
        self.temperature = temperature
        self.doubt = doubt
        self.familiarity: Familiarity | None = None
        self.preprocessor = Preprocessor(preprocessing)
        self.network = network_settings.build(len(self.genres), preprocessing.shape)
        self.answering: nn.Module | None = None

    def predict(self, source: bytes | str | Path) -> Prediction:
        """Genre of one image or recording, from its bytes or its path.

        Raises `DataError` for what cannot be decoded.
        """
        return self.predict_pixels(*self.read(source))

    def read(self, source: bytes | str | Path) -> tuple[Tensor, list[tuple[float, float]]]:
        """What `predict_pixels` takes, of one image or recording. Raises `DataError`."""
        try:
            return self.preprocessor.timed(source)
        except DataError as error:
            name = "the input" if isinstance(source, bytes) else source
            raise DataError(f"{name} {error}") from error

    def predict_pixels(
        self, pixels: Tensor, times: Sequence[tuple[float, float]] = ()
    ) -> Prediction:
        """Genre of one track from its segments, uint8 `[segments, C, H, W]`.

        `times`: start and end of each segment in seconds, for the timeline.
        """
        parts = torch.cat([self.probabilities(batch) for batch in pixels.split(BATCH)])
        whole = aggregate(parts, torch.zeros(len(parts), dtype=torch.int64), self.aggregation)
        timeline = tuple(
            SegmentPrediction(start_s, end_s, self.by_genre(row))
            for (start_s, end_s), row in zip(times, parts, strict=bool(times))
        )
        answer = Prediction(self.by_genre(whole[0]), timeline)
        return replace(
            answer,
            unsure=self.doubt.is_unsure(answer.confidence),
            likely=self.doubt.likely(answer.probabilities),
            foreign_score=self.foreign_score(pixels),
        )

    def foreign_score(self, pixels: Tensor) -> float | None:
        """How far one track lies from what was learnt from; above 1 it is foreign.

        Of its segments, uint8 `[segments, C, H, W]`. None where nobody knows.
        """
        if self.familiarity is None:
            return None
        return self.familiarity.score(statistics_of(pixels, self.preprocessing))

    def by_genre(self, row: Tensor) -> dict[str, float]:
        """Probabilities `[genres]` under their names."""
        return dict(zip(self.genres, row.tolist(), strict=True))

    def probabilities(self, pixels: Tensor) -> Tensor:
        """Softmax of the logits over the genres, float32 `[B, genres]`, of uint8 `[B, C, H, W]`."""
        return self.logits(pixels).softmax(dim=1)

    @torch.inference_mode()
    def logits(self, pixels: Tensor) -> Tensor:
        """What the network answers, over the temperature: float32 `[B, genres]`.

        Of uint8 `[B, C, H, W]`.

        Raises `MemoryShortage`.
        """
        network = self.answering or self.network.eval()
        with out_of_memory(str(self.device), SMALLER):
            return network(pixels.to(self.device)).cpu() / self.temperature

    def settle(self) -> Self:
        """Answer faster from now on, by a twin of the network as it is now; this is returned.

        What it learns or is given later plays no part; `save` and the digests hold it as it was.
        """
        self.answering = made_to_answer(self.network)
        return self

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(chain(self.network.parameters(), self.network.buffers())).device

    @property
    def digest(self) -> str:
        """Twelve hexadecimal characters that name configuration, weights and familiar music."""
        content = json.dumps(self.config(), sort_keys=True).encode()
        weights = to_safetensors(self.network.state_dict())
        known = to_safetensors(self.familiarity.arrays()) if self.familiarity else b""
        return hashlib.sha256(content + weights + known).hexdigest()[:DIGEST_CHARACTERS]

    @property
    def weights_digest(self) -> str:
        """As many that name the weights alone."""
        weights = to_safetensors(self.network.state_dict())
        return hashlib.sha256(weights).hexdigest()[:DIGEST_CHARACTERS]

    def config(self) -> dict[str, Any]:
        """Everything but weights and familiar music, as JSON holds it."""
        return {
            "format": FORMAT,
            "genres": list(self.genres),
            "network": {"name": name_of(self.network_settings), **asdict(self.network_settings)},
            "preprocessing": asdict(self.preprocessing),
            "aggregation": self.aggregation,
            "temperature": self.temperature,
            "doubt": asdict(self.doubt),
            "farthest": self.familiarity.farthest if self.familiarity else None,
        }

    def save(self, folder: Path) -> None:
        """Write configuration (JSON) and arrays (safetensors) into `folder`."""
        with atomic_write(folder / WEIGHTS_FILE) as file:
            file.write(to_safetensors(self.network.state_dict()))
        if self.familiarity:
            with atomic_write(folder / FAMILIARITY_FILE) as file:
                file.write(to_safetensors(self.familiarity.arrays()))
        with atomic_write(folder / CONFIG_FILE) as file:
            file.write(json.dumps(self.config(), indent=2).encode())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote. Raises `ModelError` for a folder that holds no classifier."""
        try:
            config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
            if config["format"] != FORMAT:
                raise ModelError(
                    f"{folder} has format {config['format']}; this version reads {FORMAT}: train "
                    "the model anew"
                )
            with out_of_memory("cpu", SMALLER):
                classifier = cls.from_config(config)
                if not classifier.network_settings.reads_files:
                    raise ModelError(f"{folder} reads the rows of a table; it hears no music")
                classifier.network.load_state_dict(load_file(folder / WEIGHTS_FILE))
                if config["farthest"] is not None:
                    arrays = load_file(folder / FAMILIARITY_FILE)
                    known = Familiarity.of(arrays, config["farthest"])
                    known.check_width(n_statistics(classifier.preprocessing))
                    classifier.familiarity = known
        except (ModelError, MemoryShortage):
            raise
        except (*DAMAGE, GenreError) as error:
            raise ModelError(f"{folder} holds no classifier that can be read: {error}") from error
        return classifier

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """A classifier with fresh weights, from what `config` gave; no default fills a gap.

        Raises `ModelError` for a network that this version does not have.
        """
        network = dict(config["network"])
        name = network.pop("name")
        if name not in KNOWN:
            raise ModelError(f"network is {name!r}; this version has {', '.join(NETWORKS)}")
        return cls(
            config["genres"],
            family(name).from_saved(network),
            PreprocessingSettings.from_saved(config["preprocessing"]),
            config["aggregation"],
            config["temperature"],
            Doubt(**config["doubt"]),
        )


def classifier_below(name: str, folder: Path) -> Path:
    """Where the one classifier lies that is in a folder or below it; `name` is for errors."""
    check_model(str(folder))
    configs = sorted(folder.rglob(CONFIG_FILE))
    if len(configs) != 1:
        found = len(configs) or "no"
        raise ModelError(f"{name} holds {found} classifiers ({CONFIG_FILE}); one is needed")
    return configs[0].parent
