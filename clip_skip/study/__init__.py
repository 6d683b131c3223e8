"""Which clip skip is better, over many prompts, seeds and checkpoints: plan, statistics, page."""
