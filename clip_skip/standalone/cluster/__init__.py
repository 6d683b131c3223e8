"""Makers on a Ray cluster: the connection, what runs on a node, and which maker has which cells."""
