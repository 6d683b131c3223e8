"""The parts of the WebUI's page, a file for each."""
