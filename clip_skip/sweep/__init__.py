"""The sweep: clip skip against CFG scale with one seed. Its plan, its settings, and what is drawn of it."""
