"""Variants lie on disk, a file each, are made once, and are dealt by torch's random numbers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sounds import encode, tone

from genre_mlflow.corpus.scan import scan
from genre_mlflow.data import variants as module
from genre_mlflow.data.cache import open_cache
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.data.variants import open_variants
from genre_mlflow.errors import DataError
from genre_mlflow.features.settings import AugmentationSettings, PreprocessingSettings
from genre_mlflow.features.stretching import Stretcher

pytestmark = pytest.mark.slow  # librosa compiles at its first import, half a minute
PICTURES = PreprocessingSettings(image_size=32, image_width=32, segment_s=1.0)
SHIFTED = AugmentationSettings(pitch_shift=3.0, variants=2)


@pytest.fixture
def manifest(tmp_path):
    for number, genre in enumerate(["blues", "jazz"]):
        folder = tmp_path / "music" / genre
        folder.mkdir(parents=True)
        for track in range(2):
            sound = tone(1 + track, hz=300 + 500 * number + 100 * track, seed=number)
            (folder / f"{track}.wav").write_bytes(encode(sound))
    return scan(tmp_path / "music").manifest


@pytest.fixture
def made(monkeypatch):
    """The SHA-256 of each file whose variants are made."""
    found = []
    make = module.variants_of

    def counted(stretcher, item):
        found.append(item[0])
        return make(stretcher, item)

    monkeypatch.setattr(module, "variants_of", counted)
    return found


def opened(manifest, folder, augmentation=SHIFTED, progress=None):
    return open_variants(manifest, augmentation, PICTURES, folder, progress)


def varied(manifest, folder):
    tracks = TrackDataset(manifest, ["blues", "jazz"], open_cache(manifest, PICTURES, folder))
    return tracks, tracks.varied(opened(manifest, folder))


def test_each_file_is_made_once_whatever_manifest_it_is_in(manifest, tmp_path, made):
    told = []
    opened(manifest[:3], tmp_path, progress=lambda *counts: told.append(counts))
    assert sorted(made) == sorted(manifest["sha256"][:3])
    assert told[-1][1] == 3
    opened(manifest, tmp_path)
    assert sorted(made) == sorted(manifest["sha256"])
    opened(manifest[1:], tmp_path)
    assert len(made) == 4


@pytest.mark.parametrize("changes", [{"pitch_shift": 2.0}, {"time_stretch": 0.1}, {"variants": 3}])
def test_other_amounts_are_other_variants(manifest, tmp_path, made, changes):
    opened(manifest, tmp_path)
    opened(manifest, tmp_path, AugmentationSettings(**{**vars(SHIFTED), **changes}))
    assert len(made) == 8


def test_what_a_killed_process_has_made_stays_and_what_it_was_writing_goes(
    manifest, tmp_path, made
):
    folder = opened(manifest[:2], tmp_path).files[0].parent
    (folder / ".half.npy.0.partial").write_bytes(b"half")
    opened(manifest, tmp_path)
    assert len(made) == 4
    assert len(list(folder.iterdir())) == 4


def test_a_file_that_has_changed_is_refused_by_name(manifest, tmp_path):
    with open(manifest["path"].iloc[0], "ab") as file:
        file.write(b"\0")
    with pytest.raises(DataError, match=r"0\.wav has changed since it was scanned"):
        opened(manifest, tmp_path)


def test_each_item_is_dealt_as_it_is_or_as_one_of_its_own_variants(manifest, tmp_path):
    tracks, dealt = varied(manifest, tmp_path)
    assert len(tracks) == 6
    stretcher, seen = Stretcher(SHIFTED, PICTURES), set()
    segments = [0, 0, 1, 0, 0, 1]
    for seed in range(20):
        torch.manual_seed(seed)
        pixels, labels = dealt.gather(list(range(6)))
        assert torch.equal(labels, tracks.labels)
        for item, (segment, owner) in enumerate(zip(segments, tracks.owners, strict=True)):
            row = manifest.iloc[int(owner)]
            variants = stretcher(Path(row["path"]).read_bytes(), row["sha256"])[:, segment]
            plain, _ = tracks[item]
            known = [plain, *variants]
            (number,) = [n for n, one in enumerate(known) if torch.equal(one, pixels[item])]
            seen.add((item, number))
    assert len(seen) == 6 * 3


def test_the_same_random_numbers_deal_the_same(manifest, tmp_path):
    tracks, dealt = varied(manifest, tmp_path)
    torch.manual_seed(1)
    first = [pixels for pixels, _ in dealt.batches(2)]
    torch.manual_seed(1)
    assert all(map(torch.equal, first, (pixels for pixels, _ in dealt.batches(2))))
    state = torch.get_rng_state()
    plain, _ = tracks.gather([0])
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(plain[0], tracks[0][0])
