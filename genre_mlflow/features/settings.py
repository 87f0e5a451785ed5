"""Settings of the preprocessor, saved beside the weights of every model."""

from dataclasses import dataclass

from genre_mlflow.errors import SettingsError

MIN_IMAGE_SIZE = 32  # five poolings leave one pixel


@dataclass(frozen=True)
class PreprocessingSettings:
    """How an image becomes a tensor.

    `image_size`: height and width of the tensor, in pixels. `remove_border`: take off the uniform
    frame that plotting leaves around a spectrogram.
    """

    image_size: int = 224
    remove_border: bool = True

    def __post_init__(self) -> None:
        if not MIN_IMAGE_SIZE <= self.image_size <= 1024:
            raise SettingsError(
                f"image_size is {self.image_size}; allowed are {MIN_IMAGE_SIZE} to 1024 pixels"
            )
