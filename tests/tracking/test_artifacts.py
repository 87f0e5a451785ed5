"""What lies among artifacts."""

from pathlib import Path

from genre_mlflow.tracking.artifacts import bytes_below


def test_bytes_are_those_of_files_of_the_name_in_all_folders(tmp_path: Path) -> None:
    sizes = {"weights": 5, "deep/weights": 7, "familiarity": 11, "old-weights": 13}
    for name, size in sizes.items():
        file = tmp_path / "artifacts" / f"{name}.safetensors"
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_bytes(bytes(size))
    assert bytes_below(tmp_path.as_uri(), "artifacts", "weights.safetensors") == 12
