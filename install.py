"""Run by the WebUI at every start. The extension needs nothing that a WebUI does
not already have, so there is nothing to install."""
