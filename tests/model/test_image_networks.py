"""Networks of torchvision's: what they start from, and what of them learns."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import get_model

from genre_mlflow.errors import ModelError, SettingsError
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.networks.image_networks import MobileNetV3Small, ResNet18

SHAPE = (1, 64, 64)
PIXELS = PreprocessingSettings(image_size=64, image_width=64)


@pytest.fixture(scope="module")
def known() -> dict[str, torch.Tensor]:
    """Weights as torchvision has them, its own last layers among them."""
    torch.manual_seed(1)
    state: dict[str, torch.Tensor] = get_model("mobilenet_v3_small", weights=None).state_dict()
    return state


@pytest.fixture
def file(tmp_path: Path, known: dict[str, torch.Tensor]) -> Path:
    torch.save(known, tmp_path / "mobile.pth")
    return tmp_path / "mobile.pth"


def body_of(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    states = network.state_dict().items()
    return {n.replace("body.", ""): v.clone() for n, v in states if n.startswith("body.")}


def started(**settings: object) -> torch.nn.Module:
    family = MobileNetV3Small(**settings)
    network = family.build(3, SHAPE)
    family.start(network)
    return network


@pytest.mark.parametrize("kind", ["pth", "safetensors"])
@pytest.mark.parametrize("freeze", [False, True])
def test_the_body_starts_from_the_file(
    file: Path, known: dict[str, torch.Tensor], kind: str, freeze: bool
) -> None:
    if kind == "safetensors":
        file = file.with_suffix(".safetensors")
        save_file(known, file)
    body = body_of(started(weights=str(file), freeze=freeze))
    assert body.keys() == {n for n in known if not n.startswith("classifier.")}
    assert all(values.equal(known[name]) for name, values in body.items())


@pytest.mark.parametrize("freeze", [False, True])
def test_of_a_frozen_network_the_head_alone_learns(file: Path, freeze: bool) -> None:
    network = started(weights=str(file), freeze=freeze).train()
    before, head = body_of(network), network.head.weight.detach().clone()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    pixels = torch.randint(0, 256, (4, *SHAPE), dtype=torch.uint8)
    torch.nn.functional.cross_entropy(network(pixels), torch.tensor([0, 1, 2, 0])).backward()
    optimizer.step()
    assert not network.head.weight.equal(head)
    same = all(values.equal(before[name]) for name, values in body_of(network).items())
    assert same is freeze  # batch statistics among them


def test_a_saved_model_needs_its_file_no_more(file: Path, tmp_path: Path) -> None:
    family = MobileNetV3Small(weights=str(file), freeze=True)
    classifier = Classifier(("a", "b"), family, PIXELS)
    family.start(classifier.network)
    classifier.save(tmp_path / "model")
    file.unlink()
    loaded = Classifier.load(tmp_path / "model")
    pixels = torch.randint(0, 256, (2, *SHAPE), dtype=torch.uint8)
    assert loaded.logits(pixels).equal(classifier.logits(pixels))


def test_a_frozen_network_without_weights_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"freeze is true, but weights is 'none': .* --weights"):
        ResNet18(freeze=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: {**s, "more": s["features.0.0.weight"]}, "they have more$"),
        (lambda s: {n: v for n, v in s.items() if n != "features.0.0.weight"},
         "they have no features.0.0.weight$"),
        (lambda s: {**s, "features.0.0.weight": torch.zeros(3)},
         r"they have features.0.0.weight of shape \[3\]$"),
        (lambda s: [1, 2], "are no table of tensors"),
    ],
)  # fmt: skip
def test_weights_of_another_network_are_refused(
    tmp_path: Path, known: dict[str, torch.Tensor], change, message: str
) -> None:
    torch.save(change(known), tmp_path / "other.pth")
    with pytest.raises(ModelError, match=message):
        MobileNetV3Small(weights=str(tmp_path / "other.pth")).check_start()


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_a_file_that_is_damaged_or_absent_is_one_line(tmp_path: Path, name: str) -> None:
    asked = MobileNetV3Small(weights=str(tmp_path / name))
    with pytest.raises(ModelError, match=r"allowed are none, imagenet or a file$"):
        asked.check_start()
    (tmp_path / name).write_bytes(b"no weights")
    with pytest.raises(ModelError, match=f"{name} cannot be read: "):
        asked.check_start()


def test_imagenet_without_a_network_says_where_the_file_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nothing listens there
    message = rf"put mobilenet_v3_small-\w+\.pth into {tmp_path}/hub/checkpoints, or give it as"
    with pytest.raises(ModelError, match=message):
        MobileNetV3Small(weights="imagenet").check_start()
