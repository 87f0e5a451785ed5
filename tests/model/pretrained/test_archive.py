import zipfile

import pytest

from genre_mlflow.errors import DataError
from genre_mlflow.model.pretrained import archive
from genre_mlflow.model.pretrained.archive import read_member


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / "some.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("a/b", b"content")
        opened.writestr("../outside", b"content")
    return path


def test_a_member_is_read_whatever_its_name_and_nothing_is_written(wheel):
    assert read_member(wheel, "a/b") == read_member(wheel, "../outside") == b"content"
    assert [path.name for path in wheel.parent.iterdir()] == ["some.whl"]
    assert not (wheel.parents[1] / "outside").exists()


def test_a_missing_member_is_named(wheel):
    with pytest.raises(DataError, match=r"some\.whl holds no a/c$"):
        read_member(wheel, "a/c")


def test_a_member_that_unpacks_to_too_much_is_refused(wheel, monkeypatch):
    monkeypatch.setattr(archive, "MAX_BYTES", 6)
    with pytest.raises(DataError, match=r"^a/b in .* has 7 bytes; at most 6 are read"):
        read_member(wheel, "a/b")


def test_what_is_no_archive_is_refused(tmp_path):
    file = tmp_path / "no.whl"
    file.write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"no\.whl is no wheel, or a damaged one"):
        read_member(file, "a")
