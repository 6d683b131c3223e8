"""Makes pictures, a batch at a time."""
