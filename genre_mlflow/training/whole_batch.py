"""A network that has a share of a batch before it learns as if it had the whole batch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

Sum = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Share:
    """Rows of a batch that a process answers for, and what they count.

    A process that is left without a row takes the first one along, which counts 0: it has to take
    part in what all do together.
    """

    rows: slice
    counts: float

    @property
    def n(self) -> float:
        """How many rows it answers for."""
        return (self.rows.stop - self.rows.start) * self.counts


def shares_of(n: int, size: int) -> list[Share]:
    """A batch of `n` rows dealt to `size` processes: rows in their order, as even as can be."""
    ends = [k * n // size for k in range(size + 1)]
    return [
        Share(slice(first, end), 1.0) if end > first else Share(slice(0, 1), 0.0)
        for first, end in pairwise(ends)
    ]


class WholeBatch(TorchFunctionMode):
    """In the block, batch norm and what is random by rows are those of a whole batch.

    `shares`: of all processes, this one the `number`-th; `total`: the sum of a tensor over them.
    All must have the same state of torch's random numbers, and have it again afterwards.
    """

    def __init__(self, shares: Sequence[Share], number: int, total: Sum) -> None:
        super().__init__()
        self.shares, self.number, self.total = shares, number, total
        self.n = int(sum(share.n for share in shares))
        self.rows = shares[number].rows
        self.places = {
            functional.batch_norm: self.batch_norm,
            functional.dropout: self.dropout,
            Tensor.bernoulli_: self.bernoulli,  # by which torchvision drops whole branches
        }

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Any function of torch, as it is or as the one of ours in its place."""
        return self.places.get(func, func)(*args, **(kwargs or {}))

    def dropout(
        self, values: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
    ) -> Tensor:
        """`functional.dropout` of these rows, whose mask is drawn with those of the others."""
        if not training:
            return values
        drawn = functional.dropout(values.new_ones(self.n, *values.shape[1:]), p)[self.rows]
        return values.mul_(drawn) if inplace else values * drawn

    def bernoulli(self, values: Tensor, p: Any = 0.5, **more: Any) -> Tensor:
        """`Tensor.bernoulli_`, drawn with the rows of the others where it has rows."""
        if len(values) != self.rows.stop - self.rows.start:
            return values.bernoulli_(p, **more)
        whole = values.new_empty(self.n, *values.shape[1:])
        return values.copy_(whole.bernoulli_(p, **more)[self.rows])

    def batch_norm(
        self, values: Tensor, running_mean: Tensor | None, running_var: Tensor | None,
        weight: Tensor | None = None, bias: Tensor | None = None, training: bool = False,
        momentum: float = 0.1, eps: float = 1e-5,
    ) -> Tensor:  # fmt: skip
        """`functional.batch_norm` of `[B, C, ...]` by the mean and the variance of all rows."""
        if not training:
            return functional.batch_norm(
                values, running_mean, running_var, weight, bias, False, momentum, eps
            )
        mean, variance = self.moments(values.float())
        n = self.n * values[0, 0].numel()
        if running_mean is not None and running_var is not None:
            running_mean.lerp_(mean.detach(), momentum)
            running_var.lerp_(variance.detach() * (n / max(n - 1, 1)), momentum)
        scale = (variance + eps).rsqrt()
        scale = scale if weight is None else scale * weight
        shift = -mean * scale if bias is None else bias - mean * scale
        along = (1, -1) + (1,) * (values.dim() - 2)
        return (values * scale.view(along) + shift.view(along)).to(values.dtype)

    def moments(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance `[C]` of the rows of all processes, by one sum over them.

        From the mean and the variance of each (Chan et al. 1979): the square of a mean that is
        large beside the deviation would leave nothing of the variance.
        """
        dims = [0, *range(2, values.dim())]
        variance, mean = torch.var_mean(values, dims, correction=0)
        counts = values.new_tensor([share.n / self.n for share in self.shares]).view(-1, 1)
        place = torch.zeros_like(counts)
        place[self.number] = 1
        found = Summed.apply(place[:, None] * torch.stack([mean, variance]), self.total)
        means, variances = found.unbind(1)  # [processes, C] each
        mean = (counts * means).sum(0)
        return mean, (counts * (variances + (means - mean).square())).sum(0)


class Summed(torch.autograd.Function):
    """The sum over all processes; so is its gradient, since each has a part of the loss."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, total: Sum) -> Tensor:
        """The sum."""
        ctx.total = total
        return total(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """The sum of what each process would change it by."""
        return ctx.total(gradients[0]), None
