"""The cache of decoded images: keyed by content, whole or absent, and made once."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from sounds import program

from genre_mlflow.corpus.scan import scan
from genre_mlflow.data import cache as caching
from genre_mlflow.data.cache import CHUNK, cache_key, open_cache
from genre_mlflow.errors import DataError
from genre_mlflow.features.preprocessing import Preprocessor
from genre_mlflow.features.settings import PreprocessingSettings

SMALL = PreprocessingSettings(image_size=32, image_width=32)

# A process that opens the cache of the folder sys.argv[1] in sys.argv[2], and says "decoding"
# when it decodes its first image; sys.argv[3] is run before.
OPEN = """
import json, sys, time
from pathlib import Path
from genre_mlflow.data import cache
from genre_mlflow.corpus.scan import scan
from genre_mlflow.features.settings import PreprocessingSettings

decode, decoded = cache.decode, []
def counted(preprocessor, item):
    if not decoded:
        sys.stdout.write("decoding\\n")  # in one piece, whichever threads say it
        sys.stdout.flush()
    decoded.append(item)
    time.sleep(0.02)
    return decode(preprocessor, item)
cache.decode = counted
manifest = scan(Path(sys.argv[1])).manifest
exec(sys.argv[3])
small = PreprocessingSettings(image_size=32, image_width=32)
opened = cache.open_cache(manifest, small, Path(sys.argv[2]))
print(json.dumps([len(decoded), int(opened.pixels.sum())]))
"""


@pytest.fixture
def corpus(tmp_path, make_corpus):
    return make_corpus(tmp_path / "music", tracks=4)


@pytest.fixture
def manifest(corpus):
    return scan(corpus).manifest


def start(corpus, folder, before=""):
    return subprocess.Popen(
        [sys.executable, "-c", OPEN, corpus, folder, before],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def caches(folder):
    return sorted(path.name for path in folder.glob("*.npy"))


def partials(folder):
    return list(folder.glob(".*.partial"))


def test_cache_holds_what_the_preprocessor_gives(tmp_path, manifest):
    cache = open_cache(manifest, SMALL, tmp_path / "cache")
    assert cache.pixels.shape == (12, 1, 32, 32)
    assert cache.pixels.dtype == np.uint8
    assert isinstance(cache.pixels, np.memmap)
    preprocessor = Preprocessor(SMALL)
    for row in manifest.itertuples():
        expected = preprocessor(row.path)[0].numpy()
        first, count = cache.span[row.sha256]
        assert count == 1
        assert np.array_equal(cache.pixels[first], expected)


def test_second_opening_decodes_nothing(tmp_path, manifest, monkeypatch):
    first = open_cache(manifest, SMALL, tmp_path / "cache")
    monkeypatch.setattr(caching, "decode", None)
    second = open_cache(manifest.iloc[::-1], SMALL, tmp_path / "cache")
    assert np.array_equal(first.pixels, second.pixels)
    assert first.span == second.span


def test_a_file_that_moved_needs_no_new_cache(tmp_path, corpus, manifest, monkeypatch):
    open_cache(manifest, SMALL, tmp_path / "cache")
    monkeypatch.setattr(caching, "decode", None)
    open_cache(scan(corpus.rename(tmp_path / "moved")).manifest, SMALL, tmp_path / "cache")


def test_copies_are_decoded_once(tmp_path, corpus):
    shutil.copy(corpus / "jazz" / "jazz.00000.png", corpus / "jazz" / "copy.png")
    manifest = scan(corpus).manifest
    cache = open_cache(manifest, SMALL, tmp_path / "cache")
    assert len(cache.pixels) == len(manifest) - 1 == 12


def test_other_contents_and_other_settings_have_other_caches(tmp_path, corpus, manifest):
    folder = tmp_path / "cache"
    open_cache(manifest, SMALL, folder)
    open_cache(manifest, PreprocessingSettings(image_size=33), folder)
    open_cache(
        manifest, PreprocessingSettings(image_size=32, image_width=32, remove_border=False), folder
    )
    shutil.copy(corpus / "jazz" / "jazz.00000.png", corpus / "jazz" / "jazz.00001.png")
    open_cache(scan(corpus).manifest, SMALL, folder)
    assert len(caches(folder)) == 4


def test_another_recipe_has_another_cache(monkeypatch):
    before = cache_key(["a", "b"], SMALL)
    monkeypatch.setattr(caching, "RECIPE", caching.RECIPE + 1)
    assert cache_key(["a", "b"], SMALL) != before


def test_another_decoder_has_another_cache(monkeypatch):
    before = cache_key(["a"], SMALL)
    monkeypatch.setattr(caching, "DECODERS", "Pillow 99")
    assert cache_key(["a"], SMALL) != before


def test_the_version_of_ffmpeg_counts_where_a_file_needs_it(tmp_path, manifest, monkeypatch):
    names = []
    for version in ("6.1", "7.0", ""):
        folder = tmp_path / f"bin {version}"
        folder.mkdir()
        if version:
            program(folder, f"echo 'ffmpeg version {version} Copyright'")
        monkeypatch.setenv("PATH", str(folder))
        one = manifest.assign(format=["MP4"] + ["PNG"] * (len(manifest) - 1))
        names.append([caching.file_of(table, SMALL) for table in (manifest, one)])
    usual, others = zip(*names, strict=True)
    assert set(usual) == {f"{cache_key(sorted(manifest['sha256']), SMALL)}.npy"}
    assert len({*usual, *others}) == 4


def test_a_split_is_read_from_the_cache_of_its_corpus(tmp_path, manifest, monkeypatch):
    part = manifest[::3]
    alone = open_cache(part, SMALL, tmp_path / "alone", part_of=manifest)
    assert len(alone.span) == len(part)
    whole = open_cache(manifest, SMALL, tmp_path / "cache")
    monkeypatch.setattr(caching, "decode", None)  # nothing is decoded again
    found = open_cache(part, SMALL, tmp_path / "cache", part_of=manifest)
    assert found.span == whole.span


def test_a_file_that_has_changed_since_the_scan_is_an_error(tmp_path, corpus, manifest):
    shutil.copy(corpus / "jazz" / "jazz.00000.png", corpus / "jazz" / "jazz.00001.png")
    message = r"jazz.00001.png has changed since it was scanned; start again"
    with pytest.raises(DataError, match=message):
        open_cache(manifest, SMALL, tmp_path / "cache")
    assert caches(tmp_path / "cache") == partials(tmp_path / "cache") == []


def test_a_file_that_has_gone_since_the_scan_is_an_error(tmp_path, corpus, manifest):
    (corpus / "jazz" / "jazz.00001.png").unlink()
    with pytest.raises(DataError, match=r"jazz.00001.png cannot be read: No such file"):
        open_cache(manifest, SMALL, tmp_path / "cache")
    assert caches(tmp_path / "cache") == []


def test_progress_counts_images_and_memory_holds_a_chunk_of_them(tmp_path, make_corpus):
    manifest = scan(make_corpus(tmp_path / "many", tracks=15)).manifest
    seen = []
    open_cache(manifest, SMALL, tmp_path / "cache", lambda *counts: seen.append(counts))
    assert seen == [(CHUNK, 45), (2 * CHUNK, 45), (45, 45)]


@pytest.mark.slow
def test_two_processes_that_start_at_once_make_one_cache(tmp_path, corpus):
    folder = tmp_path / "cache"
    processes = [start(corpus, folder) for _ in range(2)]
    results = []
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        results.append(json.loads(out.splitlines()[-1]))
    assert sorted(decoded for decoded, _ in results) == [0, 12]
    assert len({total for _, total in results}) == 1
    assert len(caches(folder)) == 1
    assert partials(folder) == []


@pytest.mark.slow
def test_a_killed_builder_leaves_no_cache_and_its_leftovers_go(tmp_path, corpus, manifest):
    folder = tmp_path / "cache"
    with start(corpus, folder, "decode = lambda preprocessor, item: time.sleep(60)") as process:
        said = process.stdout.readline()
        process.kill()
        assert said == "decoding\n", process.stderr.read()
    assert caches(folder) == []
    assert len(partials(folder)) == 1
    assert len(open_cache(manifest, SMALL, folder).pixels) == 12
    assert partials(folder) == []


def test_leftovers_of_another_cache_are_left_alone(tmp_path, manifest):
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / ".other.npy.123.partial").write_bytes(b"another process is at it")
    open_cache(manifest, SMALL, folder)
    assert [path.name for path in partials(folder)] == [".other.npy.123.partial"]


@pytest.mark.skipif(os.name != "posix", reason="limits of a process are POSIX")
@pytest.mark.slow
def test_a_full_disk_leaves_no_cache(tmp_path, corpus, manifest):
    folder = tmp_path / "cache"
    limit = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))"
    )
    process = start(corpus, folder, limit)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "OSError: [Errno 27] File too large" in err
    assert caches(folder) == partials(folder) == []
    assert len(open_cache(manifest, SMALL, folder).pixels) == 12
