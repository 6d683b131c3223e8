from modules import shared


class Processed:
    def __init__(self, p, images, seed=-1, info="", infotexts=None, index_of_first_image=0):
        self.images, self.seed, self.info = images, seed, info
        self.infotexts, self.index_of_first_image = infotexts, index_of_first_image

    def js(self):
        return "{}"


def fix_seed(p):
    p.seed = 1234 if p.seed == -1 else p.seed


def process_images(p):
    return p.make(p)


def create_infotext(p, prompts, seeds, subseeds, index=0):
    """As the host: lists hold one value for each picture, None is left out."""
    params = {"CFG scale": p.cfg_scale, "Seed": seeds[index], "Clip skip": shared.opts.CLIP_stop_at_last_layers}
    if getattr(p, "subseed_strength", 0):
        params["Variation seed"] = subseeds[index]
    params.update(p.extra_generation_params)
    shown = {key: value[index] if isinstance(value, list) else value for key, value in params.items()}
    text = ", ".join(f"{key}: {value}" for key, value in shown.items() if value is not None)
    negative = p.all_negative_prompts[index]
    return "\n".join([prompts[index], *([f"Negative prompt: {negative}"] if negative else []), text])
