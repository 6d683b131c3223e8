"""The noise levels of the WebUI's schedules, and the samplers that are missing in diffusers."""
