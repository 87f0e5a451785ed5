"""`python -m search` is `genre-mlflow search`."""

from search.cli import search

if __name__ == "__main__":
    search(prog_name="python -m search")
