"""`python -m genre_mlflow` is `genre-mlflow`."""

from genre_mlflow.cli.main import main

main(prog_name="genre-mlflow")
