"""The WebUI page's requests."""
