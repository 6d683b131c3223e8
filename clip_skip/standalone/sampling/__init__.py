"""The noise levels of the WebUI's schedules, and the samplers that diffusers has none of."""
