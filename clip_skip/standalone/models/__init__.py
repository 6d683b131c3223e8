"""Checkpoints as files and as modules, and the one in the box."""
