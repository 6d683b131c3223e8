"""An extension that makes a WebUI fail where a test asks for it, and tells what is left behind.

For tests/webui/test_faults.py: link this folder's parent into the WebUI's `extensions/`. It does nothing unless asked.
Its argument is a place: the name of a script's hook, or one of PLACES, then the number of calls that succeed before.
"""

import gc

import gradio as gr
import torch
from modules import images, processing, prompt_parser, script_callbacks, scripts, shared

HOOKS = (
    *("before_process", "process", "before_process_batch", "after_extra_networks_activate", "process_batch"),
    *("process_before_every_sampling", "before_hr", "post_sample", "postprocess_batch", "postprocess_batch_list"),
    *("postprocess_image", "postprocess"),
)
BLOCKS = ("CLIPEncoderLayer", "ResidualAttentionBlock")


def modules_of(model):
    """Every torch module of the loaded model, whatever the host keeps it in."""
    objects = getattr(model, "forge_objects", None)
    parts = [objects.unet.model, objects.clip.cond_stage_model] if objects else []
    parts += [model] if isinstance(model, torch.nn.Module) else []
    return [module for part in parts for module in part.modules()]


def fail_at(owner, name, after):
    """The call of `owner.name` after `after` ones fails, once; then everything is as it was."""
    own, original = vars(owner).get(name), getattr(owner, name)
    left = [after]

    def put_back():
        if own is None:
            delattr(owner, name)
        else:
            setattr(owner, name, own)

    def failing(*args, **kwargs):
        left[0] -= 1
        if left[0] >= 0:
            return original(*args, **kwargs)
        put_back()
        raise OSError(28, "No space left on device") if owner is images else RuntimeError(f"asked to fail at {name}")

    setattr(owner, name, failing)
    return lambda: put_back() if vars(owner).get(name) is failing else None


def unet(p):
    objects = getattr(p.sd_model, "forge_objects", None)
    return (objects.unet.model if objects else p.sd_model.model).diffusion_model


PLACES = {
    "encoder": lambda p: (next(m for m in modules_of(p.sd_model) if type(m).__name__ in BLOCKS), "forward"),
    "unet": lambda p: (unet(p), "forward"),
    "sample": lambda p: (p, "sample"),
    "decode": lambda p: (processing, "decode_latent_batch"),
    "infotext": lambda p: (processing, "create_infotext"),
    "save": lambda p: (images, "save_image"),
    "schedules": lambda p: (prompt_parser, "get_learned_conditioning_prompt_schedules"),
}

left_over = []
asked_by = [None]
"""The arguments of the request that is being answered; the parts of a sweep share them."""


class FaultsScript(scripts.Script):
    def title(self):
        return "Faults"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        return [gr.Textbox("", visible=False), gr.Number(0, visible=False)]


def hook(name):
    def run(self, p, *args, **kwargs):
        place, after = [arg for arg in args if isinstance(arg, (str, int, float))][-2:]
        if name == "before_process" and p.script_args is not asked_by[0]:
            asked_by[0] = p.script_args
            while left_over:
                left_over.pop()()
            if place in PLACES:
                left_over.append(fail_at(*PLACES[place](p), int(after)))
        if place == name:
            raise RuntimeError(f"asked to fail at {name}")

    return run


for name in HOOKS:
    setattr(FaultsScript, name, hook(name))


def state():
    """What should be the same before and after: hooks, functions set on instances, wrapped functions, options."""
    gc.collect()
    modules = modules_of(shared.sd_model)
    tensors = [one for one in gc.get_objects() if isinstance(one, torch.Tensor)]
    return {
        "hooks": sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in modules),
        "functions": sorted(f"{type(m).__name__}.{k}" for m in modules for k, v in vars(m).items() if callable(v)),
        "of the model": sorted(vars(shared.sd_model)),
        "encodes": prompt_parser.get_learned_conditioning.__module__,
        "options": {key: str(value) for key, value in shared.opts.data.items()},
        "tensors": len(tensors),
        "bytes": sum(one.numel() * one.element_size() for one in tensors),
        "resident": resident(),
    }


def resident():
    import psutil

    return psutil.Process().memory_info().rss


script_callbacks.on_app_started(lambda _, app: app.add_api_route("/faults/state", state, methods=["GET"]))
