"""Fetching the GTZAN collection from the page of its makers; the first address is dead."""

from pathlib import Path

from genre_mlflow.errors import DataError

REPOSITORY = "marsyas/gtzan"
ARCHIVE = "data/genres.tar.gz"


def download(folder: Path) -> Path:
    """Fetch the archive into `folder`, or the rest of it, and return its path.

    The address is that of `huggingface_hub`, or `HF_ENDPOINT`. Raises `DataError` when it fails;
    what has arrived stays, and the next call goes on from there.
    """
    from huggingface_hub import hf_hub_download

    try:
        path = hf_hub_download(
            repo_id=REPOSITORY, repo_type="dataset", filename=ARCHIVE, local_dir=folder
        )
    except Exception as error:  # its errors, those of HTTP and of the disk have no other root
        what = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"the download of {ARCHIVE} from the dataset {REPOSITORY} failed: {what}; run the "
            "same command again to go on from there, or give an archive that you have as --source"
        ) from error
    return Path(path)
