"""Results in; MLflow's runs, logged models and versions out."""
