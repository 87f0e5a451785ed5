"""The model card: what a run knows of its model, as Markdown and as a page."""
