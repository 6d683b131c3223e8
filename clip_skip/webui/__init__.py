"""What runs inside a WebUI: the only folder that imports `modules.*`."""
