"""What both pages in the browser ask and show: the WebUI's and the one without a WebUI."""
