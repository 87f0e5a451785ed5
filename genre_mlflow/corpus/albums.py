"""Pictures of albums: images that lie with recordings, and are no spectrograms."""

import re
from collections.abc import Iterable
from pathlib import Path

from genre_mlflow.corpus.folders import without_ending
from genre_mlflow.features.audio import is_recording_file
from genre_mlflow.features.formats.kinds import is_image

RECORDING, IMAGE = "recording", "image"
# Names of pictures in albums, as players and taggers write them.
COVER = re.compile(
    r"(.*[ _.()-])?(albumart.*|art|artwork|back|booklet|cd|cover|disc|disk|folder|front|inlay|"
    r"inside|label|poster|scan|sleeve|thumb|tray)s?([ _.()-]*\w{0,3}\)?)?"
)
HEAD = 8  # bytes that tell an image


def sound_or_image(path: Path, whole: bool = True) -> str:
    """Recording or image, by the content; empty for anything else. Raises `OSError`.

    `whole`: as of `is_recording_file`.
    """
    with path.open("rb") as file:
        if is_image(file.read(HEAD)):
            return IMAGE
    return RECORDING if is_recording_file(path, whole) else ""


def album_pictures(root: Path, recordings: Iterable[Path], images: Iterable[Path]) -> set[Path]:
    """Images below `root` that are of an album, by their place or by their name.

    An album is a folder below `root` with recordings in it, at any depth. Beside recordings that
    lie in `root` itself, images are spectrograms, unless they are called as covers are.
    """
    with_sound: set[Path] = set()
    for path in recordings:
        for folder in path.parents:
            if folder in with_sound or not folder.is_relative_to(root):
                break
            with_sound.add(folder)
    albums = with_sound - {root}
    return {
        path
        for path in images
        if not albums.isdisjoint(path.parents)
        or (with_sound and COVER.fullmatch(without_ending(path.name).lower()))
    }
