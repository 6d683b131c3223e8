"""The sweep: clip skip against CFG scale with one seed. Its plan, its settings, and its figures."""
