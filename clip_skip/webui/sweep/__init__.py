"""The sweep inside a WebUI."""
