"""Pictures that other programs made: their infotext, and how to make them again."""
