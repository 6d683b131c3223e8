"""What the WebUI's page asks for."""
