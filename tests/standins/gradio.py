"""Stands in for gradio: components that remember how they were made.

They take the parameters that gradio 3.41.2 (AUTOMATIC1111, reForge, Forge Classic) and 4.40.0 (Forge, Forge Neo) both
have, in their order there, and no others; `tests/test_webui.py` holds the table against the gradio that is installed.
"""

SHOWN = "visible elem_id elem_classes"
FIELD = f"label info every show_label container scale min_width interactive {SHOWN}"
PARAMETERS = {
    "Slider": f"minimum maximum value step {FIELD}",
    "Textbox": f"value lines max_lines placeholder {FIELD}",
    "Radio": f"choices value type {FIELD}",
    "Checkbox": f"value {FIELD}",
    "Dropdown": f"choices value type multiselect allow_custom_value max_choices {FIELD}",
    "Button": f"value variant size icon link interactive scale min_width {SHOWN}",
    "HTML": f"value label every show_label {SHOWN}",
    "Image": f"value height width image_mode type label every show_label container scale min_width interactive {SHOWN}",
    "Dataframe": f"value headers row_count col_count datatype type label every show_label height scale min_width "
    f"interactive wrap {SHOWN}",
    "State": "value",
    "Row": f"variant equal_height {SHOWN}",
    "Accordion": f"label open {SHOWN}",
    "Column": f"scale min_width variant {SHOWN}",
    "Tabs": f"selected {SHOWN}",
    "Tab": f"label id {SHOWN}",
    "Blocks": "theme analytics_enabled mode title css",
}
EVENTS = "fn inputs outputs api_name scroll_to_output show_progress queue batch preprocess postprocess cancels every"


class Component:
    def __init__(self, *values, **settings):
        known = PARAMETERS[type(self).__name__].split()
        settings = {**dict(zip(known, values, strict=False)), **settings}
        unknown = settings.keys() - {*known}
        if unknown or len(values) > len(known):
            raise TypeError(f"{type(self).__name__} has no parameters {sorted(unknown)} in every gradio of the hosts")
        if callable(settings.get("value")):
            raise TypeError(f"gradio calls {settings['value']!r} for the value of {type(self).__name__} at each load")
        self.__dict__.update(settings)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def click(self, fn, inputs=None, outputs=None, *, _js=None, **settings):
        unknown = settings.keys() - {*EVENTS.split()}
        if unknown:
            raise TypeError(f"an event has no parameters {sorted(unknown)}")
        self.clicked = fn, outputs

    change = submit = input = click

    def load(self, fn, inputs=None, outputs=None, *, _js=None, **settings):
        return Component.click(self, fn, inputs, outputs, _js=_js, **settings)


for name in PARAMETERS:
    globals()[name] = type(name, (Component,), {})


class Progress:
    def tqdm(self, items, **settings):
        return items


update = dict
