"""How alike the layers of a text encoder are for a prompt: the measures and their figure."""
