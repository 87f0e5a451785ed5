"""A folder of music in; a table, playlists and sorted files out."""
