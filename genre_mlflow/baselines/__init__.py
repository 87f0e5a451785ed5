"""Fitting what needs no epochs."""
