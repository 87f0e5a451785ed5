"""A folder of music in; a manifest with splits, and tensors, out."""
