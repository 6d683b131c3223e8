"""What stands on the WebUI's page: a file for each."""
