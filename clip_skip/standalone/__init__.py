"""The host used when there is no WebUI: SD1, SD2 and SDXL checkpoints on diffusers, and the `clip-skip` command."""
