"""Tensors in; the weights of a classifier out."""
