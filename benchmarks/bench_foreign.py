"""How well each way tells foreign sound from music: AUROC by kind of sound, side by side.

The kinds are those of `foreign_set`: they go the way of a served file. Music are the images of the
filtered GTZAN split: a network learns from `train`, the ways know `train`, and `val` is what
foreign sound is told from. Chance has 0.5, all sounds farther off than all music 1. Beside it
stands the share of each kind that is called foreign at the threshold that 99 % of `val` pass, and
what that says of `val` itself, of the recordings at hand in several forms, and with `--test` of
`test`.

Ways: the highest probability; energy (Liu et al. 2020, NeurIPS); Mahalanobis' distance to the
nearest genre (Lee et al. 2018, NeurIPS) and the distance to the fifth nearest neighbour (Sun et al.
2022, ICML, vectors of length 1) in what the network's last layer reads; Mahalanobis' distance with
a shrunk covariance (Ledoit and Wolf 2004) in few statistics of the picture (mean and deviation of
cepstra, modulation of bands) and in all (256 and 888), and the fifth nearest neighbour in both.
"""

import argparse
import io
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import torch
from foreign_set import RATE, SPEECH, foreign_files
from real_data import real_data
from scipy.signal import butter, sosfilt
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from genre_mlflow.corpus.corpus import open_corpus
from genre_mlflow.data.cache import open_cache
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.errors import DataError
from genre_mlflow.features.preprocessing import Preprocessor
from genre_mlflow.files.home import home
from genre_mlflow.jobs.fitting import fit_classifier, new_classifier
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.familiarity import NEIGHBOURS, Familiarity, statistics_of
from genre_mlflow.model.layers import Crops, Fused
from genre_mlflow.model.statistics import Statistics
from genre_mlflow.options import TrainOptions
from genre_mlflow.training.checkpoint import CheckpointFolder
from genre_mlflow.training.device import choose_device, keep_freed_memory
from genre_mlflow.training.observer import Observer

FAMILIAR = 0.99
FEW = ("cepstrum_mean", "cepstrum_deviation", "modulation")
VAL, TEST, TRAIN = "val", "test", "train"
CHOSEN = "neighbours in all statistics"

Score = Callable[[str], np.ndarray]  # of a set by its name, the more foreign the higher
FORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as they are": lambda sound: sound,
    "the first 5 s": lambda sound: sound[: 5 * RATE],
    "a quarter of the level": lambda sound: sound / 4,
    "noise 30 dB below": lambda sound: sound + noise_like(sound, 30),
    "noise 10 dB below": lambda sound: sound + noise_like(sound, 10),
    "MP3 of 64 kbit/s": lambda sound: through_mp3(sound, 64),
    "MP3 of 24 kbit/s": lambda sound: through_mp3(sound, 24),
    "low-pass of 8 kHz": lambda sound: low_pass(sound, 8000),
    "low-pass of 4 kHz": lambda sound: low_pass(sound, 4000),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=30, help="of each kind")
    parser.add_argument("--seed", type=int, default=0, help="of the generated set")
    parser.add_argument("--network", default="vgg")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--test", action="store_true", help="read the test set's pictures, too")
    args = parser.parse_args()
    data = real_data()
    keep_freed_memory()
    options = TrainOptions.from_flat(
        {
            "data": str(data / "gtzan-mel"), "split_dir": str(data / "splits/gtzan-filtered"),
            "groups": str(data / "groups/gtzan-groups.csv"), "on_missing": "skip",
            "image_size": args.image_size, "network": args.network,
            **({"epochs": args.epochs} if args.epochs else {}),
        }
    )  # fmt: skip
    pictures, labels, classifier = music(options, args.test)
    kinds = foreign(classifier.preprocessor, args.items, args.seed)
    forms = recordings(classifier.preprocessor, data / "gtzan-audio")
    scores = {
        name: {one: score(one) for one in (*pictures, *kinds, *forms) if one != TRAIN}
        for name, score in ways({**pictures, **kinds, **forms}, labels, classifier).items()
    }
    tell(scores, list(kinds))
    tell_shares(scores[CHOSEN], [*pictures, *forms, *kinds])
    tell_time(classifier, pictures)


def music(options: TrainOptions, with_test: bool) -> tuple[dict[str, Tensor], Tensor, Classifier]:
    """Pictures by split, the genres of those that are learnt from, and who has learnt from them."""
    corpus = open_corpus(options.corpus, options.split)
    cache = open_cache(corpus.manifest, options.preprocessing, home() / "cache")
    names = (TRAIN, VAL, *([TEST] if with_test else []))
    tracks = {name: TrackDataset(corpus.rows(name), corpus.genres, cache) for name in names}
    classifier = new_classifier(options, corpus.genres)
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = CheckpointFolder(Path(folder))
        device = choose_device("auto")
        fitted = fit_classifier(classifier, tracks, options, Observer(), checkpoints, device)
    classifier.network.load_state_dict(fitted.best_weights)
    classifier.network.cpu().eval()
    pictures = {name: part.gather(list(range(len(part))))[0] for name, part in tracks.items()}
    return pictures, tracks[TRAIN].labels, classifier


def foreign(preprocessor: Preprocessor, items: int, seed: int) -> dict[str, Tensor]:
    """Pictures of each kind of foreign files; those that are refused are told and left out."""
    found = {}
    files = foreign_files(items, seed)
    if SPEECH not in files:
        print(f"left out: {SPEECH}, for the program espeak-ng is not there")
    for kind, contents in files.items():
        pixels, refusals = [], []
        for content in contents:
            try:
                pixels.append(preprocessor(content))
            except DataError as error:
                refusals.append(str(error))
        if refusals:
            print(f"{kind}: {len(refusals)} of {items} are refused, such as: {refusals[0][:60]}")
        if len(pixels) > items // 2:
            found[kind] = torch.cat(pixels)
    return found


def recordings(preprocessor: Preprocessor, folder: Path) -> dict[str, Tensor]:
    """Pictures of the recordings at hand, in several forms."""
    sounds = [soundfile.read(path)[0] for path in sorted(folder.rglob("*.flac"))]
    return {
        f"{len(sounds)} recordings, {name}": torch.cat(
            [preprocessor(as_wav(change(sound))) for sound in sounds]
        )
        for name, change in FORMS.items()
    }


def as_wav(sound: np.ndarray) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, sound, RATE, format="WAV")
    return file.getvalue()


def through_mp3(sound: np.ndarray, kbits: int) -> np.ndarray:
    """Encoded and decoded; at this rate libsndfile counts from 160 kbit/s (0) to 8 (1)."""
    file = io.BytesIO()
    quality = {"bitrate_mode": "CONSTANT", "compression_level": (160 - kbits) / (160 - 8)}
    soundfile.write(file, sound, RATE, format="MP3", **quality)
    return soundfile.read(io.BytesIO(file.getvalue()))[0]


def noise_like(sound: np.ndarray, below_db: float) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(len(sound))
    return noise * sound.std() * 10 ** (-below_db / 20)


def low_pass(sound: np.ndarray, edge_hz: float) -> np.ndarray:
    return sosfilt(butter(8, edge_hz, fs=RATE, output="sos"), sound)


def ways(sets: dict[str, Tensor], labels: Tensor, classifier: Classifier) -> dict[str, Score]:
    """Every way to say how foreign a picture is, by its name."""
    logits = {name: in_batches(classifier.logits, pixels) for name, pixels in sets.items()}
    last = {name: last_features(classifier.network, pixels) for name, pixels in sets.items()}
    every = {name: statistics_of(p, classifier.preprocessing) for name, p in sets.items()}
    names = Statistics(*classifier.preprocessing.shape[1:]).names
    places = [i for i, name in enumerate(names) if name.rpartition(" ")[0] in FEW]
    some = {name: found[:, places] for name, found in every.items()}
    unit = {name: nn.functional.normalize(found) for name, found in last.items()}
    genres = labels.numpy()
    return {
        "highest probability": lambda name: -logits[name].softmax(1).amax(1).numpy(),
        "energy": lambda name: -logits[name].logsumexp(1).numpy(),
        "Mahalanobis in the network": mahalanobis(last, genres),
        "neighbours in the network": neighbours(unit, scaled=False),
        "Mahalanobis in few statistics": mahalanobis(some),
        "neighbours in few statistics": neighbours(some),
        "Mahalanobis in all statistics": mahalanobis(every),
        CHOSEN: neighbours(every),
    }


def in_batches(what: Callable[[Tensor], Tensor], pixels: Tensor) -> Tensor:
    with torch.inference_mode():
        return torch.cat([what(batch) for batch in pixels.split(32)])


def last_features(network: nn.Module, pixels: Tensor) -> Tensor:
    """What the last layer that has learnt reads, `[B, F]`; of crops the mean."""
    learnt = network.learnt if isinstance(network, Fused) else network
    layer = [part for part in learnt.modules() if isinstance(part, nn.Linear)][-1]
    seen: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))

    def read(batch: Tensor) -> Tensor:
        seen.clear()
        learnt(batch)
        assert len(seen) == 1 or isinstance(learnt, Crops)
        return torch.stack(seen).mean(0)

    found = in_batches(read, pixels)
    hook.remove()
    return found


def mahalanobis(sets: dict[str, Tensor], genres: np.ndarray | None = None) -> Score:
    """The squared distance to the nearest mean of a genre, or to that of all, as spread."""
    known = sets[TRAIN].double().numpy()
    mean, deviation = known.mean(0), known.std(0) + 1e-6
    known = (known - mean) / deviation
    owners = np.zeros(len(known), int) if genres is None else genres
    centres = np.stack([known[owners == one].mean(0) for one in np.unique(owners)])
    inverse = LedoitWolf(assume_centered=True).fit(known - centres[owners]).precision_

    def score(name: str) -> np.ndarray:
        given = (sets[name].double().numpy() - mean) / deviation
        apart = given[:, None] - centres
        return np.einsum("nci,ij,ncj->nc", apart, inverse, apart, optimize=True).min(1)

    return score


def neighbours(sets: dict[str, Tensor], scaled: bool = True) -> Score:
    """The distance to the fifth nearest neighbour, each number in deviations, or as it is."""
    known = sets[TRAIN]
    mean = known.mean(0) if scaled else torch.zeros(known.shape[1])
    deviation = known.std(0, correction=0) + 1e-6 if scaled else torch.ones(known.shape[1])
    measure = Familiarity(mean, deviation, (known - mean) / deviation, 1.0)
    return lambda name: measure.distances(sets[name]).numpy()


def tell(scores: dict[str, dict[str, np.ndarray]], kinds: list[str]) -> None:
    """AUROC against `val`, a row a kind, a column a way."""
    table = {
        way: {kind: auroc(found[VAL], found[kind]) for kind in kinds}
        for way, found in scores.items()
    }
    print(f"\n| kind | {' | '.join(table)} |\n|{'---|' * (1 + len(table))}")
    for kind in kinds:
        print(f"| {kind} | {' | '.join(f'{found[kind]:.3f}' for found in table.values())} |")
    worst = " | ".join(f"**{min(found.values()):.3f}**" for found in table.values())
    print(f"| the worst | {worst} |")


def auroc(music: np.ndarray, others: np.ndarray) -> float:
    truth = np.repeat([0, 1], [len(music), len(others)])
    return float(roc_auc_score(truth, np.concatenate([music, others])))


def tell_shares(scores: dict[str, np.ndarray], sets: list[str]) -> None:
    """How many of each set are called foreign, in the way that was chosen."""
    val = np.sort(scores[VAL])
    threshold = val[min(len(val), math.ceil((len(val) + 1) * FAMILIAR)) - 1]
    print(f"\n{CHOSEN}, the {NEIGHBOURS}th nearest; foreign from {threshold:.1f} on\n")
    print("| set | items | called foreign | median distance |\n|---|---|---|---|")
    for name in sets:
        if name in scores:
            found = scores[name]
            n = int((found > threshold).sum())
            print(f"| {name} | {len(found)} | {n} | {np.median(found):.1f} |")


def tell_time(classifier: Classifier, pictures: dict[str, Tensor]) -> None:
    """Milliseconds of an answer on one thread, and of what tells foreign sound in it."""
    torch.set_num_threads(1)
    one = pictures[VAL][:1]
    known = statistics_of(pictures[TRAIN], classifier.preprocessing)
    described = statistics_of(one, classifier.preprocessing)
    distance = neighbours({TRAIN: known, VAL: described})
    parts = {
        "the network": lambda: classifier.logits(one),
        "statistics": lambda: statistics_of(one, classifier.preprocessing),
        f"distance to {len(known)} tracks": lambda: distance(VAL),
    }
    print("\n| part of an answer | ms, median |\n|---|---|")
    for name, part in parts.items():
        times = []
        for _ in range(21):
            started = time.perf_counter()
            part()
            times.append(1000 * (time.perf_counter() - started))
        print(f"| {name} | {statistics.median(times):.1f} |")


if __name__ == "__main__":
    main()
