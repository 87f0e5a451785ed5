"""A playlist a genre, of the songs in a table. Nobody else's playlist is overwritten."""

import os
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from genre_mlflow.errors import DataError
from genre_mlflow.features.audio import is_recording_file
from genre_mlflow.files.atomic import atomic_write

HEAD = "#EXTM3U\n#PLAYLIST:{genre}\n# written by genre-mlflow\n"
OURS = b"# written by genre-mlflow"
HEAD_BYTES = 1000  # a genre and its mark are within them


def check_playlists(folder: Path, names: Mapping[str, str]) -> None:
    """Raise `DataError` for a playlist in the way that somebody else has written.

    `names`: of the files, without ending, by genre.
    """
    for path in playlists(folder, names).values():
        if path.exists() and OURS not in path.read_bytes()[:HEAD_BYTES]:
            raise DataError(
                f"{path} was not written by genre-mlflow and stays; move it away, or name another "
                "--m3u"
            )


def playlists(folder: Path, names: Mapping[str, str]) -> dict[str, Path]:
    """Where the playlist of each genre lies."""
    return {genre: folder / f"{name}.m3u8" for genre, name in names.items()}


def write_playlists(
    rows: Iterable[Mapping[str, str]], folder: Path, names: Mapping[str, str]
) -> tuple[int, int]:
    """A playlist a genre, with absolute paths; return how many songs are in and how many left out.

    Images, and what is gone, are no songs. A name with a line break is left out: a line is all
    that a playlist has for a song.
    """
    n_songs = n_left_out = 0
    with ExitStack() as stack:
        files: dict[str, IO[bytes]] = {}
        for genre, path in playlists(folder, names).items():
            files[genre] = stack.enter_context(atomic_write(path))
            files[genre].write(HEAD.format(genre=one_line(genre)).encode())
        for row in rows:
            place = os.path.abspath(row["path"])
            if not row["predicted"] or not os.path.isfile(place):
                continue
            if not is_recording_file(Path(place)):
                continue
            if one_line(place) != place:
                n_left_out += 1
                continue
            files[row["predicted"]].write(f"#EXTINF:-1,{Path(place).stem}\n{place}\n".encode())
            n_songs += 1
    return n_songs, n_left_out


def one_line(text: str) -> str:
    """The text with line breaks as spaces."""
    return text.replace("\r", " ").replace("\n", " ")
