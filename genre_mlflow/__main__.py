"""`python -m genre_mlflow` is `genre-mlflow`."""

from genre_mlflow.cli import main

main(prog_name="genre-mlflow")
