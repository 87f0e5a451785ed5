"""Verifying a run: what it has recorded, against what its model and its data give now."""
