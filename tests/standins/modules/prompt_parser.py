import re


class SdConditioning(list):
    def __init__(self, prompts, is_negative_prompt=False, copy_from=None):
        super().__init__(prompts)
        self.is_negative_prompt = is_negative_prompt or getattr(copy_from, "is_negative_prompt", False)


def get_multicond_prompt_list(prompts):
    """Where each sub-prompt is in the flat list, with its weight; the list; and by text."""
    parts = [[part.partition(" :")[0] for part in re.split(r"\bAND\b", prompt)] for prompt in prompts]
    flat = list(dict.fromkeys(part for several in parts for part in several))
    return [[(flat.index(part), 1.0) for part in several] for several in parts], flat, {}


def get_learned_conditioning_prompt_schedules(prompts, base_steps, hires_steps=None, use_old_scheduling=False):
    """Up to which step a text is used: two of "[a:b:0.5]", one of others."""
    return [
        [[base_steps // (len(texts) - index), text] for index, text in enumerate(texts)]
        for texts in map(edited, prompts)
    ]


def edited(prompt):
    edit = re.fullmatch(r"(.*)\[([^:]*):([^:]*):[\d.]+\](.*)", prompt, re.DOTALL)
    return [edit[1] + edit[2] + edit[4], edit[1] + edit[3] + edit[4]] if edit else [prompt]


def get_learned_conditioning(model, prompts, steps, hires_steps=None, use_old_scheduling=False):
    """One encoding for each distinct prompt; "[a:b:0.5]" at the end has two texts in one call."""
    cache = {}
    for prompt in prompts:
        if prompt not in cache:
            texts = edited(prompt)
            conds = model.get_learned_conditioning(SdConditioning(texts, copy_from=prompts))
            cache[prompt] = [part(conds, index) for index in range(len(texts))]
    return [cache[prompt] for prompt in prompts]


def part(conds, index):
    return {key: value[index] for key, value in conds.items()} if isinstance(conds, dict) else conds[index]


def get_multicond_learned_conditioning(model, prompts, steps, hires_steps=None, use_old_scheduling=False):
    parts = [re.split(r"\bAND\b", prompt) for prompt in prompts]
    flat = SdConditioning(dict.fromkeys(part for several in parts for part in several), copy_from=prompts)
    encoded = dict(zip(flat, get_learned_conditioning(model, flat, steps, hires_steps, use_old_scheduling)))
    return [[encoded[part] for part in several] for several in parts]
