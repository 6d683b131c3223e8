"""A sweep without a WebUI, from its settings to a folder of pictures."""
