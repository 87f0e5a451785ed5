"""Weights that others have trained: where they come from, fetching, converting, and the networks."""
