"""The demo corpus: ten genres of synthesised music."""
