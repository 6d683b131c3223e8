"""`clip-skip app`: the page in the browser for people without a WebUI. Needs gradio."""
