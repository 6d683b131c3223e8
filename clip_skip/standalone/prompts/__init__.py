"""Prompts as tokens, and as conditioning."""
