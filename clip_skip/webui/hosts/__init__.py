"""Differences between the WebUIs: where each keeps its text encoders, its slider and its CFG."""
