"""The version of the package, here so that it is known where the package is not installed."""

VERSION = "0.1.0"
