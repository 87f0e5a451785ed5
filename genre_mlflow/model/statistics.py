"""Fixed statistics of a spectrogram, of the kinds that music classifiers were fed before networks.

Means, deviations and changes of cepstra (Logan 2000, after Davis and Mermelstein 1980), modulation
spectra (McKinney and Breebaart 2003), spectral contrast (Jiang et al. 2002), and how rough the
picture is along time and along frequency, which tells percussive from harmonic sound (Fitzgerald
2010). On levels instead of power: undone colours are linear in dB.
"""

import math
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from genre_mlflow.model.family import PATCH

CEPSTRA = 40  # at most; the rows of the input at least
FEW_CEPSTRA = 20  # whose skewness is taken
MODULATED = 12  # cepstra with a modulation spectrum
BANDS = 16
FINE_BANDS = 32
WINDOW, HOP = 128, 43  # columns; 10 s and 3.3 s of 30 s in 384
OCTAVES = 12  # bins of modulation, spaced by factors, at most
TINY = 1e-6
FEW_ROWS = 16  # of a band, whose highest are found without sorting
LONGEST_LAG = 100  # columns, 8 s
LAGS = 16
ZONES = 4  # of frequency
LONG_PATCH = 32  # columns, of eight rows; 2.5 s of 30 s in 384
FAINT = 0.01  # below which the energy of a pattern says nothing


class Statistics(nn.Module):
    """Levels uint8 `[B, 1, H, W]` to statistics float32 `[B, features]`, in no common scale.

    `names`: what each of them is, such as `cepstrum_deviation 3`; those of a kind begin alike.
    `wide` adds how textures change over time, and those of longer patches: half as many again.
    Silence and a constant picture give finite numbers. Works for any shape of 32 x 32 or more.
    """

    dct: Tensor
    window: Tensor
    rates: Tensor
    patterns: Tensor
    long_patterns: Tensor

    def __init__(self, height: int, width: int, *, wide: bool = False) -> None:
        super().__init__()
        self.wide = wide
        self.columns = min(WINDOW, width)
        self.register_buffer("dct", cosines(min(CEPSTRA, height), height), persistent=False)
        hann = torch.hann_window(self.columns, periodic=False)
        self.register_buffer("window", hann, persistent=False)
        self.register_buffer("patterns", cosines(PATCH, PATCH), persistent=False)
        long = cosines(PATCH, min(LONG_PATCH, width))
        self.register_buffer("long_patterns", long, persistent=False)
        rates = means_between(bin_edges(self.columns // 2 + 1), self.columns // 2 + 1)
        self.register_buffer("rates", rates, persistent=False)
        with torch.no_grad():
            blocks = self.blocks(torch.zeros(1, height, width))
        sizes = {kind: block.shape[1] for kind, block in blocks.items()}
        self.names = [f"{kind} {n}" for kind, size in sizes.items() for n in range(size)]

    def forward(self, pixels: Tensor) -> Tensor:
        """All statistics of each picture, in the order of `names`."""
        levels = pixels[:, 0].float() / 255  # [B, H, W]
        return torch.cat(list(self.blocks(levels).values()), dim=1)

    def blocks(self, levels: Tensor) -> dict[str, Tensor]:
        """The statistics by their kind, `[B, n]` each, of levels 0 to 1, `[B, H, W]`."""
        cepstra = self.dct @ levels  # [B, cepstra, W]
        fine = bands(levels, FINE_BANDS)
        rises = fine.diff(dim=2).clamp_min(0)
        contrast = contrast_of(levels, BANDS)
        textures = pattern_energies(levels, self.patterns, self.patterns)
        found = {
            "cepstrum_mean": cepstra.mean(dim=2),
            "cepstrum_deviation": deviation(cepstra),
            "cepstrum_change": deviation(cepstra[:, :, 2:] - cepstra[:, :, :-2]),
            "cepstrum_acceleration": deviation(cepstra.diff(n=2, dim=2)),
            "cepstrum_skewness": skewness(cepstra[:, :FEW_CEPSTRA]),
            "modulation": self.modulation(bands(levels, BANDS)),
            "cepstrum_modulation": self.modulation(cepstra[:, :MODULATED]),
            "contrast_mean": contrast.mean(dim=2),
            "contrast_deviation": deviation(contrast),
            "rise": rises.mean(dim=2),
            "roughness_in_frequency": pooled(levels.diff(n=2, dim=1).abs().mean(dim=2)),
            "roughness_in_time": pooled(levels.diff(n=2, dim=2).abs().mean(dim=2)),
            "texture": (by_zone(textures.mean(dim=2)) + TINY).log().flatten(1),
            "pulse": pulse(levels.diff(dim=2).clamp_min(0).mean(dim=1)),
        }
        if self.wide:
            changes = deviation((textures + FAINT).log())
            long = pattern_energies(levels, self.patterns, self.long_patterns).mean(dim=2)
            found |= {
                "texture_deviation": by_zone(changes).flatten(1),
                "long_texture": (by_zone(long) + TINY).log().flatten(1),
            }
        return found

    def modulation(self, rows: Tensor) -> Tensor:
        """Logarithm of the power of each row's changes by their rate, `[B, rows * rates]`."""
        rows = rows - rows.mean(dim=2, keepdim=True)
        pieces = rows.unfold(2, self.columns, HOP) * self.window  # [B, rows, pieces, columns]
        power = squared(torch.fft.rfft(pieces)).mean(dim=2)  # [B, rows, rates]
        return (power @ self.rates + TINY).log().flatten(1)


def cosines(n: int, height: int) -> Tensor:
    """The first rows of the orthonormal DCT-II, `[n, height]`."""
    places = torch.arange(height, dtype=torch.float64) + 0.5
    angles = torch.arange(n, dtype=torch.float64)[:, None] * places * (math.pi / height)
    scale = torch.full((n, 1), math.sqrt(2 / height), dtype=torch.float64)
    scale[0] = math.sqrt(1 / height)
    return (angles.cos() * scale).float()


def pattern_energies(levels: Tensor, in_frequency: Tensor, in_time: Tensor) -> Tensor:
    """How much of each pattern of cosines each patch holds, `[B, rows, columns, i, j]`.

    `levels` `[B, H, W]`; patterns `[i, rows of a patch]` and `[j, columns of a patch]`. Patches do
    not overlap; what is left at an edge is not in one.
    """
    height, width = in_frequency.shape[1], in_time.shape[1]
    rows, columns = levels.shape[1] // height, levels.shape[2] // width
    whole = levels[:, : rows * height, : columns * width]
    patches = whole.unflatten(2, (columns, width)).unflatten(1, (rows, height)).movedim(2, 3)
    return (in_frequency @ patches @ in_time.mT).abs()


def by_zone(energies: Tensor) -> Tensor:
    """Means over the rows of each zone of frequency, `[B, i * j, zones]` of `[B, rows, i, j]`."""
    return functional.adaptive_avg_pool1d(energies.flatten(2).mT, ZONES)


def bin_edges(n_rates: int) -> list[int]:
    """Edges of bins of modulation from rate 1 up, each wider than the one before by a factor."""
    steps = torch.logspace(0, math.log10(n_rates), OCTAVES + 1).round().int()
    return sorted(set(steps.tolist()))


def means_between(edges: list[int], n: int) -> Tensor:
    """What `n` values are multiplied with for their means between edges, `[n, len(edges) - 1]`."""
    found = torch.zeros(n, len(edges) - 1)
    for place, (low, high) in enumerate(pairwise(edges)):
        found[low:high, place] = 1 / (high - low)
    return found


def bands(levels: Tensor, n: int) -> Tensor:
    """Means of neighbouring rows, `[B, n, W]`."""
    return functional.adaptive_avg_pool1d(levels.transpose(1, 2), n).transpose(1, 2)


def means_of_neighbours(rows: Tensor, n: int) -> Tensor:
    """What `adaptive_avg_pool1d` gives, `[B, n]` of `[B, values]`, also on MPS.

    There torch refuses numbers that `n` does not divide (pytorch/pytorch#96056).
    """
    if rows.shape[1] % n == 0:
        return functional.adaptive_avg_pool1d(rows, n)
    return rows @ shares_of_neighbours(rows.shape[1], n, rows.device)


@cache
def shares_of_neighbours(n_values: int, n: int, device: torch.device) -> Tensor:
    """What each value counts in each of `n` means of neighbours, float32 `[values, n]`.

    Made once, so that no copy of it is waited for at every batch.
    """
    with torch.inference_mode(False):  # for whoever asks first need not be the last to use it
        shares = torch.zeros(n_values, n)
        for place in range(n):
            window = slice(place * n_values // n, -(-(place + 1) * n_values // n))
            shares[window, place] = 1 / (window.stop - window.start)
        return shares.to(device)


def pooled(rows: Tensor) -> Tensor:
    """Means of neighbours, `[B, FINE_BANDS]`, of `[B, rows]`."""
    return means_of_neighbours(rows, min(FINE_BANDS, rows.shape[1]))


def deviation(rows: Tensor) -> Tensor:
    """Standard deviation over the third dimension, which `std` takes eight times as long for."""
    centred = rows - rows.mean(dim=2, keepdim=True)
    return centred.square().mean(dim=2).sqrt()


def squared(numbers: Tensor) -> Tensor:
    """Squares of the absolute values of complex numbers, without their roots."""
    return numbers.real.square() + numbers.imag.square()


def skewness(rows: Tensor) -> Tensor:
    """Third standardised moment over time, `[B, rows]`; 0 of a row that does not change."""
    centred = rows - rows.mean(dim=2, keepdim=True)
    return centred.pow(3).mean(dim=2) / (centred.square().mean(dim=2).pow(1.5) + TINY)


def contrast_of(levels: Tensor, n: int) -> Tensor:
    """How far the peaks of each band lie above its valleys, `[B, n, W]`."""
    rows = levels.shape[1] // n
    few = max(1, rows // 4)
    ordered = in_order(levels[:, : n * rows].unflatten(1, (n, rows)), few)
    return ordered[:, :, -few:].mean(dim=2) - ordered[:, :, :few].mean(dim=2)


def in_order(rows: Tensor, few: int) -> Tensor:
    """`[B, n, rows, W]` with the `few` lowest of the rows first and the `few` highest last.

    So few are found by comparing rows with each other, six times as fast as by sorting columns.
    """
    if rows.shape[2] > FEW_ROWS:
        return rows.sort(dim=2).values
    found = list(rows.unbind(dim=2))
    for n in range(few):
        for i in range(n, len(found) - 1 - n):  # the highest of those that are left to the end
            order(found, i, i + 1)
        for i in range(len(found) - 2 - n, n, -1):  # and their lowest to the beginning
            order(found, i - 1, i)
    return torch.stack(found, dim=2)


def order(rows: list[Tensor], low: int, high: int) -> None:
    """Let the one row have the lesser of each two values, and the other the greater."""
    rows[low], rows[high] = (
        torch.minimum(rows[low], rows[high]), torch.maximum(rows[low], rows[high])
    )  # fmt: skip


def pulse(onsets: Tensor) -> Tensor:
    """How alike the onsets `[B, T]` are after some time, the likest first, `[B, LAGS]`.

    The autocorrelation without its lags: how strong a beat is, not how fast.
    """
    centred = onsets - onsets.mean(dim=1, keepdim=True)
    n = 2 * centred.shape[1]
    power = squared(torch.fft.rfft(centred, n))
    likeness = torch.fft.irfft(power, n)[:, : min(LONGEST_LAG, centred.shape[1])]
    likeness = likeness[:, 3:] / (likeness[:, :1] + TINY)
    ordered = likeness.sort(dim=1, descending=True).values
    return means_of_neighbours(ordered, LAGS)
