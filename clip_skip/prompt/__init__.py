"""A prompt: its tags, its sub-prompts, and what governs what. Standard library only, no host."""
