"""Reads from a picture how it was made, by any of the known tools. Standard library and Pillow only."""
