"""The `clip-skip` command: a file for each of its commands."""
