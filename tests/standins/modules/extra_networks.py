import re


def parse_prompts(prompts):
    """Takes every <name:value> out, known or not; keeps the first prompt's."""
    tag = re.compile(r"<(\w+):([^>]+)>")
    return [tag.sub("", prompt) for prompt in prompts], tag.findall(prompts[0])


def parse_prompt(prompt):
    """The prompt without its extra networks, and their arguments by name."""
    found = {}
    for name, arguments in re.findall(r"<(\w+):([^>]+)>", prompt):
        found.setdefault(name, []).append(ExtraNetworkParams(arguments.split(":")))
    return re.sub(r"<(\w+):([^>]+)>", "", prompt), found


class ExtraNetworkParams:
    def __init__(self, items):
        self.items = items
