"""What is known of the segments of a song, along the time of the whole song."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from genre_mlflow.features.audio import NEARLY

Floats = npt.NDArray[np.float64]


def frame_times(times: Sequence[tuple[float, float]], step_s: float) -> Floats:
    """The centres of frames of a step each, from 0 to the end of the last segment, in seconds."""
    end_s = max(end for _, end in times)
    places = np.arange(max(1, round(end_s / step_s)), dtype=np.float64)
    return (places + 0.5) * step_s


def along_song(
    parts: npt.NDArray[np.float32],
    times: Sequence[tuple[float, float]],
    segment_s: float,
    frames: Floats,
) -> npt.NDArray[np.float32]:
    """Pictures of segments as one of the song.

    Parameters
    ----------
    parts
        Shape `[segments, rows, columns]`.
    times
        Start and end of each segment in seconds.
    segment_s
        The length that shorter sound is repeated to.
    frames
        Seconds in the song.

    Returns
    -------
    Shape `[frames, rows]`. Where several segments overlap, or sound was repeated, it is the mean;
    0 where there is no segment, since it was silent.
    """
    sums = np.zeros((len(frames), parts.shape[1]))
    counts = np.zeros((len(frames), 1))
    n_columns = parts.shape[2]
    for part, (start_s, end_s) in zip(parts, times, strict=True):
        length_s = end_s - start_s
        drawn_s = length_s if length_s >= NEARLY * segment_s else segment_s
        for again_s in np.arange(0, drawn_s, length_s):
            columns = np.floor((frames - start_s + again_s) / drawn_s * n_columns).astype(int)
            inside = (frames >= start_s) & (frames < end_s) & (columns < n_columns)
            sums[inside] += part.T[columns[inside]]
            counts[inside] += 1
    return (sums / np.maximum(counts, 1)).astype(np.float32)
