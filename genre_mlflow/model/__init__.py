"""Tensors in; probabilities out."""
