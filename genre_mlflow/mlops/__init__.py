"""Results in; MLflow runs, versions and an endpoint out."""
