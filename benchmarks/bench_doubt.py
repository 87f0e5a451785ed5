"""How to choose the confidence from which on answers are sure, and the sets of likely genres.

Answers for the 639 GTZAN tracks of train and validation by networks that have not seen them (five
artist-grouped folds, see `ablation`) are parted by whole artists, many times: a third of these
gives the temperature and the thresholds, the others say what they are worth. The test set is not
opened. Rules for a precision p, each the least confidence from which on, of n answers, k are right:
`plain` k/n >= p; `10`, `20`, `30 or more` the same with so many answers at least; `one more wrong`
k/(n + 1) >= p; `Wilson` the lower end of Wilson's interval is p or more.
"""

import argparse

import numpy as np
import pandas as pd
import torch
from ablation import ALL, BASELINE, tracked
from mapie.classification import SplitConformalClassifier
from real_data import real_data

from genre_mlflow.corpus.corpus import open_corpus
from genre_mlflow.corpus.folds import folds
from genre_mlflow.data.cache import open_cache
from genre_mlflow.evaluation.calibration import confidences, fit_temperature
from genre_mlflow.evaluation.known_answers import KnownAnswers
from genre_mlflow.evaluation.metrics import places
from genre_mlflow.evaluation.predictions import genres_of, logits_of, probabilities, with_answers
from genre_mlflow.evaluation.statistics import wilson_interval
from genre_mlflow.files.home import home
from genre_mlflow.options import TrainOptions
from genre_mlflow.tracking.store import open_store

EPOCHS = 20
RULES = ("plain", "10 or more", "20 or more", "30 or more", "one more wrong", "Wilson")
SCORES = ("lac", "aps")
BADLY = 0.05  # by how much a precision falls short


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", default="statistics,vgg", help="separated by commas")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--image-size", type=int, default=128)
    args = parser.parse_args()
    open_store()
    for name in args.networks.split(","):
        deals = list(parted(unseen_answers(name, args), args.draws))
        print(f"\n{name}: {args.draws} draws, {len(deals[0][0])} tracks to choose by\n")
        tell_rules(deals)
        tell_sets(deals)


def unseen_answers(name: str, args: argparse.Namespace) -> pd.DataFrame:
    """Answers for every track by a network that has not seen it."""
    data = real_data()
    options = TrainOptions.from_flat(
        {
            "data": str(data / "gtzan-mel"), "split_dir": str(data / "splits/gtzan-filtered"),
            "groups": str(data / "groups/gtzan-groups.csv"), "on_missing": "skip",
            "image_size": args.image_size, "network": name,
        }
    )  # fmt: skip
    if name != "statistics":
        options = options.changed(epochs=EPOCHS)
    corpus = open_corpus(options.corpus, options.split)
    cache = open_cache(corpus.manifest, options.preprocessing, home() / "cache")
    parts = folds(corpus.split.grouped, args.folds)
    recipe = BASELINE if name == "statistics" else "half the epochs"
    return tracked(recipe, options, corpus.genres, parts, cache, "ablation")[ALL]


def parted(table: pd.DataFrame, draws: int) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """Tracks to choose by and all others, many times, by whole artists; the logits calibrated."""
    genres, found = genres_of(table), []
    artists = table["group"].unique()
    for draw in range(draws):
        some = np.random.default_rng(draw).choice(artists, len(artists) // 3, replace=False)
        is_own = table["group"].isin(some).to_numpy()
        own, logits = table[is_own], torch.tensor(logits_of(table))
        labels = torch.tensor(places(own))
        mine = logits[torch.tensor(is_own)]
        temperature = fit_temperature(mine, torch.arange(len(own)), labels, "mean")
        calibrated = with_answers(table, (logits / temperature).numpy(), genres)
        found.append((calibrated[is_own], calibrated[~is_own]))
    return found


def tell_rules(deals: list[tuple[pd.DataFrame, pd.DataFrame]]) -> None:
    """Precision and coverage on the other tracks, by rule and precision that was asked for."""
    print(
        "| asked | rule | precision | draws short of it by over 0.05 | coverage | nothing is sure |"
        "\n|---|---|---|---|---|---|"
    )
    for precision in (0.8, 0.9, 0.95):
        for rule in RULES:
            right = sure = total = short = never = 0
            for own, others in deals:
                threshold = choose(own, precision, rule)
                confidence, hits = confidences(others)
                is_sure = confidence >= threshold
                n, k = int(is_sure.sum()), int(hits[is_sure].sum())
                right, sure, total = right + k, sure + n, total + len(hits)
                never += threshold > 1
                short += bool(n) and k / n < precision - BADLY
            print(
                f"| {precision:.0%} | {rule} | {right / max(1, sure):.1%} | "
                f"{short / len(deals):.0%} | {sure / total:.1%} | {never / len(deals):.0%} |",
                flush=True,
            )


def choose(table: pd.DataFrame, precision: float, rule: str) -> float:
    """The least confidence that a rule finds; above 1 for none."""
    confidence, hits = confidences(table)
    order = np.argsort(-confidence)
    n, k = np.arange(1, len(hits) + 1), hits[order].cumsum()
    if rule == "Wilson":
        low = [wilson_interval(int(a), int(b)).low for a, b in zip(k, n, strict=True)]
        fits = np.array(low) >= precision
    elif rule == "one more wrong":
        fits = k / (n + 1) >= precision
    else:
        least = 1 if rule == "plain" else int(rule.split()[0])
        fits = (k / n >= precision) & (n >= least)
    found = np.flatnonzero(fits)
    return float(confidence[order][found[-1]]) if len(found) else 2.0


def tell_sets(deals: list[tuple[pd.DataFrame, pd.DataFrame]]) -> None:
    """Coverage, that of the worst genre, and size of the sets on the other tracks."""
    print(
        "\n| asked | sets | coverage | worst genre | genres in a set | sets of none |"
        "\n|---|---|---|---|---|---|"
    )
    for coverage in (0.8, 0.9, 0.95):
        for score in SCORES:
            inside, sizes, genres = [], [], []
            for own, others in deals:
                known = KnownAnswers().fit(probabilities(own), np.arange(len(genres_of(own))))
                model = SplitConformalClassifier(known, coverage, conformity_score=score)
                model.conformalize(probabilities(own), places(own))
                sets = model.predict_set(probabilities(others))[1][:, :, 0]
                inside.append(sets[np.arange(len(others)), places(others)])
                sizes.append(sets.sum(axis=1))
                genres.append(others["genre"].to_numpy())
            hits, size = np.concatenate(inside), np.concatenate(sizes)
            worst = pd.Series(hits).groupby(np.concatenate(genres)).mean().min()
            print(
                f"| {coverage:.0%} | {score} | {hits.mean():.1%} | {worst:.1%} | "
                f"{size.mean():.2f} | {(size == 0).mean():.1%} |", flush=True,
            )  # fmt: skip


if __name__ == "__main__":
    main()
