"""Checkpoints as files and as modules; LoRAs in them."""
