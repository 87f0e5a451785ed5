"""Files on disk: written whole, named for any system, kept in one place."""
