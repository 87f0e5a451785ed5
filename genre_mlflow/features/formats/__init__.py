"""The containers of sound, by their own structure: what is there, whatever a header tells."""
