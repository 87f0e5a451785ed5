"""A network's weights as a file holds them."""

from collections.abc import Mapping

from safetensors.torch import save
from torch import Tensor


def to_safetensors(weights: Mapping[str, Tensor]) -> bytes:
    """Weights by name as safetensors, from whatever device and memory layout."""
    return save({name: t.detach().cpu().contiguous() for name, t in weights.items()})
