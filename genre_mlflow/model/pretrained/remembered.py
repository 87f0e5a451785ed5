"""Features of frozen networks on disk, by the pixels that they were read from."""

import hashlib
import logging
import uuid
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from genre_mlflow.files.atomic import atomic_write

PER_FILE = 256  # pictures; a process that is killed loses no more than these
KEY_BYTES = 16

logger = logging.getLogger(__name__)


class Remembered:
    """What one frozen network reads of pictures, each read once on this machine.

    Every process adds files of its own to the folder and never changes another's, so that none has
    to wait; one that is damaged counts as not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.features: dict[bytes, Tensor] = {}
        self.unsaved: list[bytes] = []
        for file in sorted(folder.glob("*.safetensors")):
            try:
                found = load_file(file)
                keys = [row.numpy().tobytes() for row in found["keys"]]
                self.features |= zip(keys, found["features"], strict=True)
            except (OSError, KeyError, ValueError, SafetensorError) as error:
                logger.warning("Warning: %s is damaged and deleted: %s", file, error)
                file.unlink(missing_ok=True)

    def read(self, pixels: Tensor, network: Callable[[Tensor], Tensor]) -> Tensor:
        """Features `[B, F]` of pictures `[B, ...]`, by `network` where they are new."""
        keys = [key_of(picture) for picture in pixels]
        new = [place for place, key in enumerate(keys) if key not in self.features]
        if new:
            found = network(pixels[new]).cpu()
            self.features |= {keys[place]: row for place, row in zip(new, found, strict=True)}
            self.unsaved += [keys[place] for place in new]
        if len(self.unsaved) >= PER_FILE:
            self.save()
        return torch.stack([self.features[key] for key in keys]).to(pixels.device)

    def save(self) -> None:
        """Write down what is new."""
        if not self.unsaved:
            return
        names = torch.frombuffer(bytearray(b"".join(self.unsaved)), dtype=torch.uint8)
        rows = torch.stack([self.features[key] for key in self.unsaved])
        content = {"keys": names.view(-1, KEY_BYTES), "features": rows}
        try:
            with atomic_write(self.folder / f"{uuid.uuid4().hex}.safetensors") as file:
                file.write(save(content))
        except OSError as error:
            logger.warning("Warning: what was read is not kept for later runs: %s", error)
        self.unsaved = []


def key_of(picture: Tensor) -> bytes:
    """Digest of the pixels of a picture and of its shape."""
    content = picture.cpu().contiguous().numpy()
    digest = hashlib.blake2b(content.tobytes(), digest_size=KEY_BYTES)
    digest.update(f"{content.dtype}{content.shape}".encode())
    return digest.digest()
