"""Clip skip: the layer at which a Stable Diffusion text encoder stops."""
