"""Small stand-ins for the parts of AUTOMATIC1111's WebUI that the extension touches.

They follow v1.10.1 in names, order and quirks (what it strips, caches and
swallows), and prove only what we believe of it; tests/webui proves the rest.
"""
