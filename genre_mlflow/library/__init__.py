"""A folder of music in; a table, playlists and sorted files out."""

MOST_WORKERS = 256  # processes that predict, which the command line knows without torch
