"""Weights that others have trained: their source, fetching, converting; and their networks."""
