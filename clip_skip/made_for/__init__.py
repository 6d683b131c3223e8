"""Which clip skip a LoRA or a checkpoint was made for."""
