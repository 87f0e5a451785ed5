"""Bytes in, tensors out: spectrograms, preprocessing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genre_mlflow.features.border import RemoveBorder

__all__ = ["RemoveBorder"]


def __getattr__(name: str) -> object:
    # numpy and Pillow load when the transform is asked for, so that `--help` answers at once.
    if name == "RemoveBorder":
        from genre_mlflow.features.border import RemoveBorder

        return RemoveBorder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
