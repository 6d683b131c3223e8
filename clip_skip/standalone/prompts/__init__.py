"""Prompts as tokens, and as what the UNet looks at."""
