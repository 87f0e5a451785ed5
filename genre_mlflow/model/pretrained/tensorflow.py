"""Reading TensorFlow's checkpoints (version 2) in numpy alone.

A checkpoint is two files: `.index`, a LevelDB table from the name of each variable to a protocol
buffer (`BundleEntryProto`) that tells type, shape and place, and `.data-00000-of-00001`, the raw
values. Only what TensorFlow's own `Saver` writes is read: an uncompressed table, one data file,
float32.
"""

from collections.abc import Iterator, Mapping
from math import prod

import numpy as np
import numpy.typing as npt

from genre_mlflow.errors import DataError

MAGIC = bytes.fromhex("57fb808b247547db")  # the last eight bytes of a table
FOOTER = 48  # bytes: two handles, padding, the magic number
UNCOMPRESSED = 0
DT_FLOAT = 1
DTYPE, SHAPE, SHARD, OFFSET, SIZE = 1, 2, 3, 4, 5  # fields of a `BundleEntryProto`
DIM, DIM_SIZE = 2, 1  # of its shape, and of each dimension there
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types

Array = npt.NDArray[np.float32]
Fields = Mapping[int, list[int | bytes]]


def read_checkpoint(index: bytes, data: bytes) -> dict[str, Array]:
    """Variables by name from the bytes of the two files, all float32.

    Raises `DataError` for what is no such checkpoint, or a damaged one.
    """
    try:
        entries = dict(table_entries(index))
        entries.pop(b"", None)  # the header, which tells how many data files there are
        return {name.decode(): variable(fields_of(entry), data) for name, entry in entries.items()}
    except (IndexError, KeyError, ValueError, TypeError) as error:
        raise DataError(f"is no TensorFlow checkpoint, or a damaged one ({error})") from error


def variable(entry: Fields, data: bytes) -> Array:
    """One variable, from its entry in the table. A field that is 0 or empty is left out there."""
    kind, shard, offset = (first(entry, field, 0) for field in (DTYPE, SHARD, OFFSET))
    shape = [first(fields_of(dim), DIM_SIZE, 0) for dim in fields_of(entry[SHAPE][0]).get(DIM, [])]
    size = first(entry, SIZE, 0)
    if kind != DT_FLOAT or shard or size != 4 * prod(shape) or offset + size > len(data):
        raise ValueError(f"a variable of type {kind}, shape {shape} and {size} bytes at {offset}")
    return np.frombuffer(data, "<f4", prod(shape), offset).reshape(shape)


def first(fields: Fields, number: int, default: int) -> int:
    """The first value of a field that holds whole numbers."""
    value = fields.get(number, [default])[0]
    if not isinstance(value, int):
        raise ValueError(f"field {number} holds no number")
    return value


def table_entries(table: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a LevelDB table, in the order of the keys."""
    if len(table) < FOOTER or not table.endswith(MAGIC):
        raise ValueError("its table has no end")
    footer = table[-FOOTER:]
    _, at = handle(footer, 0)  # of the meta block, which is empty
    index, _ = handle(footer, at)
    for _, value in block_entries(table, index):
        yield from block_entries(table, handle(value, 0)[0])


def block_entries(table: bytes, place: tuple[int, int]) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of one block. A key is told by how much it shares with the one before."""
    start, size = place
    if start + size >= len(table) or table[start + size] != UNCOMPRESSED:
        raise ValueError("a block of its table is cut off or compressed")
    block = table[start : start + size]
    n_restarts = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 * (n_restarts + 1)  # what follows is for searching
    at, key = 0, b""
    while at < end:
        shared, at = varint(block, at)
        unshared, at = varint(block, at)
        length, at = varint(block, at)
        key = key[:shared] + block[at : at + unshared]
        at += unshared
        yield key, block[at : at + length]
        at += length


def handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    """Start and size of a block, and where the next thing begins."""
    start, at = varint(data, at)
    size, at = varint(data, at)
    return (start, size), at


def fields_of(message: int | bytes) -> Fields:
    """The values of a protocol buffer by the numbers of its fields."""
    if isinstance(message, int):
        raise ValueError("a message is a number")
    fields: dict[int, list[int | bytes]] = {}
    at = 0
    while at < len(message):
        tag, at = varint(message, at)
        number, kind = tag >> 3, tag & 7
        value: int | bytes
        if kind == VARINT:
            value, at = varint(message, at)
        else:
            size, at = varint(message, at) if kind == BYTES else (SIZES[kind], at)
            value, at = message[at : at + size], at + size
        fields.setdefault(number, []).append(value)
    return fields


SIZES = {FIXED64: 8, FIXED32: 4}


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A whole number in groups of seven bits, the lowest first, and where the next thing begins."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
