"""`corpus check` on the GTZAN images: recall, false alarms, and the seconds of a track and a pair.

Truth is a table of fingerprints, `groups/gtzan-groups.csv`: clips of one recording whose offsets
lie within 1 s are the same excerpt, within 25 s they overlap. The table errs, so disagreements are
named, to be looked at (`corpus check --draw`). Larger corpora are made of the same images, moved to
other bands and every second time backwards: other music with the texture of music, so that a pair
of two such sets is a false alarm. The 14 recordings that are there as sound are looked for in other
forms of themselves.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
from real_data import real_data
from scipy.signal import resample_poly

from genre_mlflow.corpus.checking import check_corpus
from genre_mlflow.corpus.near_copies import BANDS, near_pairs
from genre_mlflow.corpus.pairs import COPY, DOUBTFUL, NEAR, find_pairs
from genre_mlflow.corpus.scan import scan
from genre_mlflow.corpus.settings import CorpusSettings, SplitSettings
from genre_mlflow.corpus.thumbnails import thumbnails
from genre_mlflow.features.preprocessing import Preprocessor
from genre_mlflow.features.settings import PreprocessingSettings

SAME_S, OVERLAP_S = 1.0, 25.0
RATE = 22_050
PIECE = 4096  # libsndfile's Vorbis encoder overflows its stack on long writes
IMAGE = "PNG"
FORMS: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
    "its image": (IMAGE, lambda sound: sound),
    "MP3": ("MP3", lambda sound: sound),
    "OGG Vorbis": ("OGG", lambda sound: sound),
    "half the level": ("WAV", lambda sound: sound / 2),
    "2 s later": ("WAV", lambda sound: sound[2 * RATE :]),
    "20 s later": ("WAV", lambda sound: sound[20 * RATE :]),
    "5 s of silence first": ("WAV", lambda sound: np.pad(sound, (5 * RATE, 0))[: len(sound)]),
    "3 % faster": ("WAV", lambda sound: resample_poly(sound, 100, 103)),
    "8 % faster": ("WAV", lambda sound: resample_poly(sound, 100, 108)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, default=10_000, help="of the largest corpus")
    args = parser.parse_args()
    data = real_data()
    manifest, scan_s = timed(lambda: scan(data / "gtzan-mel").manifest)
    (pictures, _), draw_s = timed(lambda: thumbnails(manifest, PreprocessingSettings()))
    pairs, find_s = timed(lambda: find_pairs(manifest, pictures))
    kinds = {tuple(name.rpartition("/")[2] for name in (p.one, p.other)): p.kind for p in pairs}
    tell_truth(kinds, data / "groups/gtzan-groups.csv")
    n = len(manifest)
    print(
        f"\n{n} images: scanning {1000 * scan_s / n:.1f} ms and reading {1000 * draw_s / n:.1f} ms "
        f"a track, comparing {1e6 * find_s / (n * (n - 1) / 2):.1f} us a pair"
    )
    tell_forms(data)
    print("\n| tracks | pairs | comparing, s | us a pair | near, false | doubtful, false |")
    print("|---|---|---|---|---|---|")
    for n_tracks in dict.fromkeys((min(1000, args.tracks), args.tracks)):
        tell_time(larger(pictures.levels, n_tracks), n)


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What a function gives, and its seconds."""
    started = time.perf_counter()
    return work(), time.perf_counter() - started


def tell_truth(kinds: dict[tuple[str, ...], str], table: Path) -> None:
    """Recall by what the table says, and every pair on which the two disagree."""
    groups = pd.read_csv(table).set_index("track_id")
    apart_s = {
        tuple(sorted(pair)): abs(float(np.subtract(*groups.loc[[*pair], "offset_s"])))
        for _, clips in groups.groupby("recording")
        for pair in combinations(clips.index, 2)
    }
    print("| clips of one recording | pairs | copy or near | doubtful | missed |")
    print("|---|---|---|---|---|")
    for name, low, high in (
        ("same excerpt, within 1 s", -1.0, SAME_S),
        ("overlapping, 1 to 25 s apart", SAME_S, OVERLAP_S),
        ("25 s and more apart", OVERLAP_S, np.inf),
    ):
        found = [kinds.get(pair, "") for pair, s in apart_s.items() if low < s <= high]
        sure = sum(kind in (COPY, NEAR) for kind in found)
        print(f"| {name} | {len(found)} | {sure} | {found.count(DOUBTFUL)} | {found.count('')} |")
    others = {pair: kind for pair, kind in kinds.items() if pair not in apart_s}
    joined = sum(kind in (COPY, NEAR) for kind in others.values())
    print(f"\nof other recordings: {joined} joined, {len(others) - joined} doubtful")
    for pair, kind in others.items():
        print(f"  {kind}: {' = '.join(pair)}")
    for pair, s in apart_s.items():
        if s <= OVERLAP_S and kinds.get(pair) not in (COPY, NEAR):
            print(f"  {kinds.get(pair, 'missed')}: {' = '.join(pair)}, {s:.1f} s apart")


def tell_forms(data: Path) -> None:
    """A row for each form of the recordings: how many are found in it."""
    print("\n| form of a recording | copy or near | doubtful | missed | wrong |")
    print("|---|---|---|---|---|")
    files = sorted((data / "gtzan-audio").rglob("*.flac"))
    for form, (kind, change) in FORMS.items():
        with tempfile.TemporaryDirectory() as folder:
            for path in files:
                samples, rate = soundfile.read(path)
                for place, sound, ending in (
                    ("is", samples, "FLAC"),
                    ("as", change(samples), kind),
                ):
                    target = Path(folder, place, f"{path.stem}.{ending.lower()}")
                    target.parent.mkdir(exist_ok=True)
                    write(target, sound, rate, ending)
            found = check_corpus(CorpusSettings(folder), SplitSettings(), PreprocessingSettings())
        own = [p.kind for p in found.pairs if Path(p.one).name == Path(p.other).name]
        sure, doubtful = sum(k in (COPY, NEAR) for k in own), own.count(DOUBTFUL)
        missed, wrong = len(files) - len(own), len(found.pairs) - len(own)
        print(f"| {form} | {sure} | {doubtful} | {missed} | {wrong} |", flush=True)


def write(target: Path, sound: np.ndarray, rate: int, ending: str) -> None:
    """Write a recording, or, where that is asked for, the image of it."""
    if ending == IMAGE:
        samples = sound.astype(np.float32)
        Preprocessor(PreprocessingSettings()).draw(samples).save(target)
        return
    with soundfile.SoundFile(target, "w", rate, 1, format=ending) as file:
        for start in range(0, len(sound), PIECE):
            file.write(sound[start : start + PIECE])


def larger(pictures: np.ndarray, n_tracks: int) -> np.ndarray:
    """So many pictures, set by set; no two of different sets are of one recording."""
    some = [pictures]
    for bands in range(7, 7 * (2 + n_tracks // len(pictures)), 7):
        turn = pictures if bands % 2 else pictures[:, :, ::-1]
        some.append(np.roll(turn, bands % BANDS, axis=1))
    return np.concatenate(some)[:n_tracks]


def tell_time(pictures: np.ndarray, n_in_set: int) -> None:
    """A row of the table of times; false is what joins pictures of two sets."""
    n = len(pictures)
    matches, seconds = timed(lambda: near_pairs(pictures, range(n)))
    n_pairs, n_near = n * (n - 1) // 2, int(matches.is_sure.sum())
    is_false = matches.one // n_in_set != matches.other // n_in_set
    false_near = int((is_false & matches.is_sure).sum())
    print(
        f"| {n:,} | {n_pairs:,} | {seconds:.1f} | {1e6 * seconds / n_pairs:.2f} "
        f"| {n_near}, {false_near} "
        f"| {len(matches.one) - n_near}, {int(is_false.sum()) - false_near} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
