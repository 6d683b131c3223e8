"""Makers on a Ray cluster: the connection, the code on a node, and the distribution of cells."""
