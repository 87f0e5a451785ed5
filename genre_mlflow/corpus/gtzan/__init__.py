"""The GTZAN collection: found, downloaded, checked and laid out."""
