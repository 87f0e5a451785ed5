"""Options in; a finished run or a decision out."""
