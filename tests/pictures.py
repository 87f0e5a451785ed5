"""Pictures that tests make, as the bytes of files."""

import io

from PIL import Image


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """The bytes of a file with this picture."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
