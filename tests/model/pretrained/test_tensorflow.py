"""Checkpoints that the test writes in TensorFlow's format, byte by byte."""

import numpy as np
import pytest
from checkpoints import DT_INT64, checkpoint, entry, table, varint_field
from hypothesis import given
from hypothesis import strategies as st

from genre_mlflow.errors import DataError
from genre_mlflow.model.pretrained.tensorflow import MAGIC, read_checkpoint

VARIABLES = {
    name: np.arange(np.prod(shape), dtype=np.float32).reshape(shape) + i
    for i, (name, shape) in enumerate(
        {
            "beta1_power": (),
            "conv2d/bias": (3,),
            "conv2d/kernel": (7, 2, 1, 3),
            "conv2d/kernel/Adam": (7, 2, 1, 3),
            "conv2d_1/bias": (200,),
            "dense/kernel": (5, 4),
        }.items()
    )
}


@pytest.mark.parametrize("per_block", [1, 2, 3, 100])
def test_variables_come_back_as_they_were_written(per_block):
    found = read_checkpoint(*checkpoint(VARIABLES, per_block))
    assert found.keys() == VARIABLES.keys()
    for name, value in VARIABLES.items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], value, strict=True)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda index, data: (index, data[:-1]), r"shape \[5, 4\] and 80 bytes at"),
        (lambda index, data: (index[:-1], data), "its table has no end"),
        (lambda index, data: (b"", data), "its table has no end"),
        (lambda index, data: (index[100:], data), ""),
        (lambda index, data: (index[-48:], data), "cut off or compressed"),
    ],
)
def test_a_damaged_checkpoint_is_refused(damage, message):
    with pytest.raises(DataError, match=f"is no TensorFlow checkpoint, or a damaged.*{message}"):
        read_checkpoint(*damage(*checkpoint(VARIABLES)))


def test_a_compressed_block_is_refused():
    items = [(b"", b""), (b"a", entry((4,), 0, 16))]
    assert read_checkpoint(table(items, 4), bytes(16)).keys() == {"a"}
    with pytest.raises(DataError, match="cut off or compressed"):
        read_checkpoint(table(items, 4, compression=1), bytes(16))


@pytest.mark.parametrize(
    ("message", "described"),
    [
        (entry((2,), 0, 16, DT_INT64), "type 9"),
        (entry((3,), 0, 16), r"shape \[3\] and 16 bytes"),
        (entry((4,), 8, 16), "16 bytes at 8"),
        (entry((4,), 0, 16) + varint_field(3, 1), "of type 1"),  # in the second data file
    ],
    ids=["integers", "another size", "beyond the end", "another file"],
)
def test_what_is_no_float32_in_the_one_data_file_is_refused(message, described):
    with pytest.raises(DataError, match=described):
        read_checkpoint(table([(b"", b""), (b"a", message)], 4), bytes(16))


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_wrong_byte_is_refused_or_changes_a_value(place, change):
    index, data = checkpoint(VARIABLES)
    place %= len(index) - len(MAGIC)
    wrong = bytearray(index)
    wrong[place] ^= change
    try:
        read_checkpoint(bytes(wrong), data)
    except DataError as error:
        assert "is no TensorFlow checkpoint" in str(error)
