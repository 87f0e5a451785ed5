"""Commands in; calls of the rooms below, and words for people out."""
