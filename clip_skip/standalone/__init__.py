"""The host used when there is no WebUI: SD1 checkpoints on diffusers, and the `clip-skip` command."""
