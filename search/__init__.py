"""Optuna studies over the training of genre-mlflow."""
