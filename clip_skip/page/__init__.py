"""What a page in the browser is told, in the WebUI and without one, in its language."""
