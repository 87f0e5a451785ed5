"""Networks for photographs, as torchvision has them, with or without what they learnt from them."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from genre_mlflow.errors import SettingsError
from genre_mlflow.features.settings import Shape
from genre_mlflow.model.family import Family, dropout
from genre_mlflow.settings import option

if TYPE_CHECKING:
    from torch import nn

HALVINGS = 5  # of height and width before the last layers
NO_WEIGHTS, IMAGENET = "none", "imagenet"


@dataclass(frozen=True)
class ImageNetwork(Family):
    """A network of torchvision's, whose last layers make way for a head of ours."""

    constructor: ClassVar[str]  # its name in torchvision
    last: ClassVar[str]  # what its last layers are called there
    deepest: ClassVar[str]  # and what has the last feature map

    dropout: float = dropout()
    weights: str = option(
        NO_WEIGHTS, "What it starts from: none, imagenet (fetched by torchvision), or a .pth or "
        ".safetensors file with torchvision's names.",
    )  # fmt: skip
    freeze: bool = option(False, "Train the head alone; needs --weights.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.freeze and not self.is_pretrained:
            raise SettingsError(
                "freeze is true, but weights is 'none': a frozen network needs --weights imagenet "
                "or a file"
            )

    @property
    def is_pretrained(self) -> bool:
        """Whether it starts from weights that something else has trained."""
        return self.weights != NO_WEIGHTS

    def __str__(self) -> str:
        known = ", imagenet" if self.weights == IMAGENET else ", pretrained"
        return self.constructor + (known if self.is_pretrained else "") + ", frozen" * self.freeze

    def check_input(self, shape: Shape) -> None:
        """The last feature map needs two pixels, or one track alone could not be normalised."""
        _, height, width = shape
        if max(height, width) <= 1 << HALVINGS:
            raise SettingsError(
                f"the input has {height} x {width} pixels; {self.constructor} needs "
                f"{(1 << HALVINGS) + 1} or more one way"
            )

    def explained(self, shape: Shape) -> str:
        """The last feature map, which is averaged over the picture."""
        return f"body.{'body.' * self.freeze}{self.deepest}"

    def build(self, n_genres: int, shape: Shape) -> "nn.Module":
        """Logits `[B, genres]` of uint8 pixels `[B, C, H, W]`; levels are grey."""
        from torch import nn
        from torchvision.models import get_model

        from genre_mlflow.model.layers import Frozen, ImageNetPixels

        self.check_input(shape)
        body = get_model(self.constructor, weights=None)
        n_features = first_linear(getattr(body, self.last)).in_features
        setattr(body, self.last, nn.Identity())
        parts = {
            "pixels": ImageNetPixels(),
            "body": Frozen(body) if self.freeze else body,
            "dropout": nn.Dropout(self.dropout),
            "head": nn.Linear(n_features, n_genres),
        }
        return nn.Sequential(OrderedDict(parts))

    def paths(self) -> dict[str, str]:
        """The file that it starts from, if it is one."""
        is_file = self.weights not in (NO_WEIGHTS, IMAGENET)
        return {"weights": self.weights} if is_file else {}

    def check_start(self) -> None:
        """Fetch or read the weights that it is to start from, before any long work."""
        if self.is_pretrained:
            self.start(self.build(2, (1, 128, 128)))

    def start(self, network: "nn.Module") -> None:
        """Give the body what was learnt before. Raises `ModelError`."""
        from genre_mlflow.model.layers import Frozen
        from genre_mlflow.model.pretrained.photographs import load_body

        if self.is_pretrained:
            body = network.get_submodule("body")
            body = body.body if isinstance(body, Frozen) else body
            load_body(body, self.constructor, self.last, self.weights)


def first_linear(last: "nn.Module") -> "nn.Linear":
    """The first fully connected layer of the last layers."""
    from torch import nn

    return next(layer for layer in last.modules() if isinstance(layer, nn.Linear))


class ResNet18(ImageNetwork):
    """Residual network (He et al. 2015, arXiv:1512.03385), 11.2 million parameters."""

    constructor, last, deepest = "resnet18", "fc", "layer4"


class ResNet34(ImageNetwork):
    """Residual network (He et al. 2015, arXiv:1512.03385), 21.3 million parameters."""

    constructor, last, deepest = "resnet34", "fc", "layer4"


class EfficientNetB0(ImageNetwork):
    """EfficientNet (Tan and Le 2019, arXiv:1905.11946), 4.0 million parameters."""

    constructor, last, deepest = "efficientnet_b0", "classifier", "features"


class MobileNetV3Small(ImageNetwork):
    """MobileNetV3 (Howard et al. 2019, arXiv:1905.02244), 0.9 million parameters."""

    constructor, last, deepest = "mobilenet_v3_small", "classifier", "features"
