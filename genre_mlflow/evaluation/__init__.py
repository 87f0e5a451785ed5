"""A classifier and a manifest in; predictions, metrics and figures out."""
