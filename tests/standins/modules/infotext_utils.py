import json


def quote(text):
    text = str(text)
    return json.dumps(text, ensure_ascii=False) if any(one in text for one in ",\n:") else text


class PasteField(tuple):
    def __new__(cls, component, target, *, api=None):
        return super().__new__(cls, (component, target))


def parse_generation_parameters(text):
    """As all hosts but Forge Neo, which leaves out `Clip skip`."""
    return dict(pair.split(": ", 1) for pair in text.split("\n")[-1].split(", "))
