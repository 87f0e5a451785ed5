"""Tables of features that others have computed."""

from pathlib import Path

import pytest

from genre_mlflow.errors import DataError
from genre_mlflow.features.table import read_features


def write(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_columns_of_numbers_are_kept_by_the_name_of_the_track(tmp_path):
    text = "filename,tempo,label,mfcc1\nblues.00000.wav,120,blues,-1.5\n0012,90.5,jazz,2\n"
    found = read_features(write(tmp_path, text))
    assert found.tracks == ["blues.00000.wav", "0012"]
    assert found.columns == ["tempo", "mfcc1"]
    assert found.numbers.tolist() == [[120, -1.5], [90.5, 2]]
    assert found.numbers.dtype == "float32"


def test_numbers_that_say_the_answer_are_no_features(tmp_path):
    text = ",id,Genre,label,tempo,target\n0,a,3,3,120,3\n1,b,4,4,90,4\n"
    found = read_features(write(tmp_path, text))
    assert (found.tracks, found.columns) == (["a", "b"], ["tempo"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "tempo,mfcc\n1,2\n",
            r"has 1 row and the columns tempo, mfcc; a table",
        ),
        ("", r"has 0 rows and the columns none; a table"),
        ("track_id,tempo\na,1\nb\n", r"rows without 2 cells, such as that of 'b'"),
        ("track_id,tempo\na,1\nb,fast\n", r"no finite number for 'b' in tempo"),
        ("track_id,label\na,blues\n", r"has no numbers; a table"),
        ("track_id,tempo\na,1\na,2\n", r"has more than one row of 'a'"),
        ("track_id,tempo\na,1\nb,\n", r"no finite number for 'b' in tempo \(1 such cell in all\)"),
        ("track_id,tempo\na,inf\n", r"no finite number for 'a' in tempo"),
        ('track_id,tempo\na,"1\n', r"cannot be read \(unexpected end of data"),
    ],
)
def test_what_is_no_table_is_one_line(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(DataError, match=message) as raised:
        read_features(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"the features in .*nowhere\.csv cannot be read"):
        read_features(tmp_path / "nowhere.csv")
