"""What scikit-learn has fitted, as layers that answer as it does: arrays, and no pickle."""

from typing import Any

import torch
from torch import Tensor, nn

FARTHEST = 3.0  # deviations from the mean; statistics of odd tracks must not rule the answer


class Arrays(nn.Module):
    """A layer of arrays that are fitted, not learnt; their sizes may depend on what they fitted.

    It is saved and loaded as any other, whatever size the arrays had before.
    """

    def fill(self, **arrays: Any) -> None:
        """Take what was fitted, by the names of the arrays."""
        for name, values in arrays.items():
            assert name in self._buffers, f"{name!r} is none of {', '.join(self._buffers)}"
            self._buffers[name] = torch.as_tensor(values, dtype=torch.float32).contiguous()

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        for name, known in self._buffers.items():
            saved = state.get(prefix + name)
            if saved is not None and known is not None and saved.dim() == known.dim():
                self._buffers[name] = torch.empty_like(saved, device=known.device)
        super()._load_from_state_dict(state, prefix, *rest)


class Standardise(Arrays):
    """Statistics `[B, F]` less their means, over their deviations, kept within three of them."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, n: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n))
        self.register_buffer("deviation", torch.ones(n))

    def forward(self, statistics: Tensor) -> Tensor:
        """Same shape in and out."""
        scaled = (statistics - self.mean) / self.deviation
        return scaled.clamp(-FARTHEST, FARTHEST)


class Linear(Arrays):
    """Logits `[B, genres]` of `[B, F]`, as `LogisticRegression.decision_function` gives them."""

    coefficients: Tensor
    intercepts: Tensor

    def __init__(self, n_genres: int, n: int) -> None:
        super().__init__()
        self.register_buffer("coefficients", torch.zeros(n_genres, n))
        self.register_buffer("intercepts", torch.zeros(n_genres))

    def forward(self, scaled: Tensor) -> Tensor:
        """A weighted sum for each genre."""
        return scaled @ self.coefficients.T + self.intercepts


class KernelMachine(Arrays):
    """Logits `[B, genres]` of `[B, F]`: one SVM of radial kernel for each genre against the rest.

    `vectors` `[tracks, F]` are those near a border, `weights` `[genres, tracks]` their say;
    `gamma` is the kernel's, `sharpness` turns decision values into logits.
    """

    vectors: Tensor
    weights: Tensor
    intercepts: Tensor
    gamma: Tensor
    sharpness: Tensor
    lengths: Tensor | None = None  # squared, of the vectors, once these do not change any more

    def __init__(self, n_genres: int, n: int) -> None:
        super().__init__()
        self.register_buffer("vectors", torch.zeros(0, n))
        self.register_buffer("weights", torch.zeros(n_genres, 0))
        self.register_buffer("intercepts", torch.zeros(n_genres))
        self.register_buffer("gamma", torch.ones(()))
        self.register_buffer("sharpness", torch.ones(()))

    def forward(self, scaled: Tensor) -> Tensor:
        """The kernel between each row and each vector, weighed."""
        lengths = self.squared_lengths() if self.lengths is None else self.lengths
        squared = scaled.square().sum(1, keepdim=True) + lengths - 2 * scaled @ self.vectors.T
        kernel = (-self.gamma * squared.clamp_min(0)).exp()  # [B, tracks]
        return self.sharpness * (kernel @ self.weights.T + self.intercepts)

    def squared_lengths(self) -> Tensor:
        """Of the vectors, `[tracks]`."""
        return self.vectors.square().sum(1)


class Constant(Arrays):
    """The same logits for everything: logarithms of the shares of the genres, `[genres]`."""

    log_shares: Tensor

    def __init__(self, n_genres: int) -> None:
        super().__init__()
        self.register_buffer("log_shares", torch.zeros(n_genres))

    def forward(self, pixels: Tensor) -> Tensor:
        """`[B, genres]` for any batch."""
        return self.log_shares.expand(len(pixels), -1)
