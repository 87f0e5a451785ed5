"""Features that are kept: each picture is read once, whoever asks."""

from pathlib import Path

import pytest
import torch
from torch import nn

from genre_mlflow.model.pretrained import remembered
from genre_mlflow.model.pretrained.features import PhotographReader, remembering
from genre_mlflow.model.pretrained.remembered import Remembered


class Network:
    """Reads the sum and the mean of a picture, and counts the pictures."""

    read = 0

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        self.read += len(pixels)
        flat = pixels.float().flatten(1)
        return torch.stack([flat.sum(1), flat.mean(1)], dim=1)


def pictures(n: int) -> torch.Tensor:
    return torch.randint(0, 256, (n, 1, 4, 6), dtype=torch.uint8)


def test_each_picture_is_read_once_and_answers_come_in_order(tmp_path: Path) -> None:
    network, memory, pixels = Network(), Remembered(tmp_path), pictures(6)
    first = memory.read(pixels[:4], network)
    assert torch.equal(first, Network()(pixels[:4]))
    again = memory.read(pixels[[5, 1, 4, 0]], network)
    assert torch.equal(again, Network()(pixels[[5, 1, 4, 0]]))
    assert network.read == 6
    memory.save()
    later = Remembered(tmp_path)
    assert torch.equal(later.read(pixels, network), Network()(pixels))
    assert network.read == 6


def test_the_same_bytes_in_another_shape_are_another_picture(tmp_path: Path) -> None:
    network, memory = Network(), Remembered(tmp_path)
    memory.read(pictures(1), network)
    memory.read(torch.zeros(1, 1, 4, 6, dtype=torch.uint8), network)
    memory.read(torch.zeros(1, 1, 6, 4, dtype=torch.uint8), network)
    assert network.read == 3


def test_what_was_read_is_written_while_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "PER_FILE", 4)
    memory = Remembered(tmp_path)
    memory.read(pictures(3), Network())
    assert list(tmp_path.iterdir()) == []
    memory.read(pictures(3), Network())
    assert len(list(tmp_path.iterdir())) == 1
    memory.save()  # nothing is new
    assert len(list(tmp_path.iterdir())) == 1


def test_what_two_have_written_is_read_together_and_a_damaged_file_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    network, pixels = Network(), pictures(4)
    two = Remembered(tmp_path), Remembered(tmp_path)
    for memory, part in zip(two, pixels.split(2), strict=True):
        memory.read(part, network)
        memory.save()
    Remembered(tmp_path).read(pixels, network)
    assert network.read == 4
    one = min(tmp_path.iterdir())
    one.write_bytes(one.read_bytes()[:-1])
    Remembered(tmp_path).read(pixels, network)
    assert network.read == 6
    assert f"{one} is damaged and deleted" in caplog.text
    assert not one.exists()


def test_a_reader_remembers_while_the_block_runs_and_other_weights_read_anew(
    tmp_path: Path,
) -> None:
    pixels = torch.randint(0, 256, (3, 1, 64, 64), dtype=torch.uint8)
    found = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        network = nn.Sequential(PhotographReader((1, 64, 64)))
        with torch.no_grad(), remembering(network, tmp_path):
            found.append(network(pixels))
            assert torch.equal(network(pixels), found[-1])
        with torch.no_grad():
            assert torch.allclose(network(pixels), found[-1], atol=1e-5)
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[0], found[2])
    folders = sorted(tmp_path.iterdir())
    assert [len(list(folder.iterdir())) for folder in folders] == [1, 1]
