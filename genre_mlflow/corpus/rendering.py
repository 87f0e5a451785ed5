"""A folder of spectrogram images from a folder of recordings, as the preprocessor draws them."""

import json
import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout
from PIL import Image

from genre_mlflow.corpus.folders import SETTINGS_FILE, BadFile, check_render, walk
from genre_mlflow.corpus.manifest import recording_of
from genre_mlflow.corpus.scan import track_id
from genre_mlflow.errors import DataError
from genre_mlflow.features.audio import is_recording_file
from genre_mlflow.features.formats.kinds import OWN, WITH_FFMPEG
from genre_mlflow.features.images import decode_image
from genre_mlflow.features.muting import muted_decoders
from genre_mlflow.features.preprocessing import RECIPE, Preprocessor, read
from genre_mlflow.features.settings import IMAGE_FIELDS, PreprocessingSettings
from genre_mlflow.files.atomic import atomic_write
from genre_mlflow.files.names import too_long
from genre_mlflow.files.words import counted

LOCK_FILE = ".render.lock"  # in the folder of images
# Of a GTZAN image: 45.6 kB in 0.9 ms; level 6 has 45.2 kB in 1.3 ms, level 9 45.2 kB in 1.8 ms.
COMPRESSION = 1
Result = int | BadFile | None
Job = Callable[[], Result]

Progress = Callable[[int, int], None]  # files done, files in all


@dataclass(frozen=True)
class Rendering:
    """What became of a folder: recordings drawn and images written now, and the rest.

    `present`: recordings that had been drawn before; `pictures`: images among the recordings,
    which were left out.
    """

    drawn: int
    images: int
    present: int
    pictures: int
    bad_files: list[BadFile]


def render_folder(
    audio: Path,
    images: Path,
    settings: PreprocessingSettings,
    workers: int = 0,
    progress: Progress = lambda done, total: None,
    on_bad_file: Callable[[BadFile], None] = lambda file: None,
) -> Rendering:
    """Draw every recording below `audio` to PNGs at the same place below `images`.

    A recording of one segment becomes `name.png`, one of several `name.seg000.png`,
    `name.seg001.png`, ... One that has been drawn is passed over, so that a run which was stopped
    goes on. `workers` threads (0: one a core) draw at the same time: what takes the time leaves
    the interpreter free, and processes would first import everything anew.

    Raises `DataError` for folders that do not fit, for names that would give one image, and for
    images that were drawn with other settings.
    """
    settings.check_drawn()
    audio, images = audio.absolute(), images.absolute()
    check_render(audio, images)
    recordings, others, bad = look_through(audio)
    check_names([track_id(audio, path) for path in recordings])
    if not recordings:
        raise DataError(f"{audio} holds no recordings; known are {', '.join(OWN + WITH_FFMPEG)}")
    images.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(images / LOCK_FILE, timeout=0):
            claim(images, settings)
            drawer = Drawer(audio, images, Preprocessor(settings))
            jobs: list[Job] = [partial(drawer, path) for path in recordings]
            jobs += [partial(look_at, path) for path in others]
            for file in bad:
                on_bad_file(file)
            results = run(jobs, workers, progress, on_bad_file)
    except Timeout as error:
        raise DataError(f"another process is drawing to {images}; wait until it ends") from error
    bad += [result for result in results if isinstance(result, BadFile)]
    counts = [result for result in results if isinstance(result, int)]
    return Rendering(
        drawn=sum(count > 0 for count in counts),
        images=sum(counts),
        present=counts.count(0),
        pictures=results.count(None),
        bad_files=bad,
    )


def look_through(audio: Path) -> tuple[list[Path], list[Path], list[BadFile]]:
    """Recordings by their content, other files, and what is out of reach."""
    recordings: list[Path] = []
    others: list[Path] = []
    paths, bad, _ = walk(audio)
    for path in paths:
        try:
            str(path).encode()
            (recordings if is_recording_file(path) else others).append(path)
        except OSError as error:
            bad.append(BadFile(path, f"cannot be read: {error.strerror}"))
        except UnicodeEncodeError:
            bad.append(BadFile(path, "has a name, or lies in a folder, that is not UTF-8"))
    return recordings, others, bad


def check_names(ids: list[str]) -> None:
    """Refuse recordings that would be drawn to one file."""
    known = Counter(ids)
    twice = [name for name, count in known.items() if count > 1]
    twice += [name for name in known if recording_of(name) != name and recording_of(name) in known]
    if twice:
        raise DataError(
            f"{counted(len(twice), 'recording')} would give the images of others, for example "
            f"{twice[0]!r}: one name with two extensions, or one that ends as a segment of another "
            "does; rename or remove them"
        )


def claim(images: Path, settings: PreprocessingSettings) -> None:
    """Write down the settings of a new folder, or see that they are the ones it was made with."""
    mine = recording_settings(settings)
    file = images / SETTINGS_FILE
    if not file.exists():
        with atomic_write(file) as out:
            out.write((json.dumps(mine, indent=2, sort_keys=True) + "\n").encode())
        return
    try:
        theirs = dict(json.loads(file.read_bytes()))
    except (ValueError, TypeError) as error:
        raise DataError(f"{file} is damaged; draw to another folder") from error
    differing = [
        f"{name} {theirs.get(name)} (now {mine.get(name)})"
        for name in sorted({*mine, *theirs})
        if theirs.get(name) != mine.get(name)
    ]
    if differing:
        raise DataError(
            f"{images} was drawn with {', '.join(differing)}; give the same options, or another "
            "folder"
        )
    for leftover in images.rglob(".*.partial"):
        leftover.unlink()  # of a process that was killed: the lock says that nobody writes it now


def recording_settings(settings: PreprocessingSettings) -> dict[str, object]:
    """What the pixels of a drawn recording depend on."""
    values = {k: v for k, v in asdict(settings).items() if k not in IMAGE_FIELDS}
    return {"recipe": RECIPE, **values}


def look_at(path: Path) -> BadFile | None:
    """What is wrong with a file that is no recording; an image is left alone."""
    try:
        decode_image(read(path))
        return None
    except DataError as error:
        return BadFile(path, str(error))


@dataclass(frozen=True)
class Drawer:
    """Draws one recording after another."""

    audio: Path
    images: Path
    preprocessor: Preprocessor

    def __call__(self, path: Path) -> int | BadFile:
        """Images written; none for a recording that has been drawn."""
        target = self.images / track_id(self.audio, path)
        try:
            check_length(named(target))
            if any(os.path.exists(image) for image in (named(target), named(target, 0))):
                return 0
            return self.draw(read(path), target)
        except DataError as error:
            return BadFile(path, str(error))

    def draw(self, data: bytes, target: Path) -> int:
        """Write the first segment last, so that whatever has its first image has all of them.

        How many a recording has is known only once it is decoded; the thousandth has a longer name.
        """
        segments = self.preprocessor.segments(data)
        first = next(segments)
        written: list[Path] = []
        for number, segment in enumerate(segments, start=1):
            image = named(target, number)
            try:
                check_length(image)
            except DataError:
                for one in written:
                    one.unlink()
                raise
            save(segment.image, image)
            written.append(image)
        save(first.image, named(target, 0) if written else named(target))
        return 1 + len(written)


def named(target: Path, segment: int | None = None) -> Path:
    """The PNG of a recording, or of one of its several segments."""
    ending = ".png" if segment is None else f".seg{segment:03d}.png"
    return target.with_name(target.name + ending)


def check_length(image: Path) -> None:
    """Raise `DataError` where no image of this name can be."""
    refused = too_long(image)
    if refused:
        raise DataError(f"cannot be drawn: its image would have {refused}, which is too long here")


def save(image: Image.Image, path: Path) -> None:
    """Write a PNG in the mode of the image."""
    with atomic_write(path) as file:
        image.save(file, "PNG", compress_level=COMPRESSION)


def run(
    jobs: list[Job], workers: int, progress: Progress, on_bad_file: Callable[[BadFile], None]
) -> list[Result]:
    """Results in the order in which they come; what has not begun is dropped after an error."""
    results: list[Result] = []
    with muted_decoders(), ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        try:
            for future in as_completed([pool.submit(job) for job in jobs]):
                result = future.result()
                results.append(result)
                if isinstance(result, BadFile):
                    on_bad_file(result)
                progress(len(results), len(jobs))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return results


def overview(found: Rendering) -> str:
    """What was done, in one line."""
    drawn, images = counted(found.drawn, "recording"), counted(found.images, "image")
    parts = [f"{drawn} drawn as {images}"]
    if found.present:
        parts.append(f"{found.present} had been drawn before")
    if found.pictures:
        parts.append(f"{counted(found.pictures, 'image')} among them left out")
    if found.bad_files:
        parts.append(f"{counted(len(found.bad_files), 'file')} broken")
    return "; ".join(parts)
