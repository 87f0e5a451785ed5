"""An endpoint for a model."""
