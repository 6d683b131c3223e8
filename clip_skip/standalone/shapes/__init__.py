"""The pictures that the model in the box was trained on: how they are drawn, captioned, read, and judged."""
