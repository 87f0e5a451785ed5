"""A manifest in; tensors out."""
