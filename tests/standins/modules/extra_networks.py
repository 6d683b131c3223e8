import re


def parse_prompts(prompts):
    """Takes every <name:value> out, known or not; keeps the first prompt's."""
    tag = re.compile(r"<(\w+):([^>]+)>")
    return [tag.sub("", prompt) for prompt in prompts], tag.findall(prompts[0])
