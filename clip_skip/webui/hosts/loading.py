"""How each host chooses and loads checkpoints, and where its infotexts become settings.

AUTOMATIC1111 and reForge load with `sd_models.reload_model_weights`, which also brings back checkpoints that are still
in memory, and restores the former one if loading fails. The Forge family selects with
`main_entry.refresh_model_loading_parameters`, and loads with the next picture; its X/Y/Z plot has a function of its own
for that, and in Neo the option stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, cast

from modules import infotext_utils, processing, sd_models, shared

from clip_skip.webui.follow import Header
from clip_skip.webui.host_types import Processing
from clip_skip.webui.hosts.host_functions import Wrap, wrap_with
from clip_skip.webui.hosts.plot import plot_modules

__all__ = ["find_checkpoint", "follow_plots", "install", "selected_checkpoint"]


def path_of(info: object) -> str | None:
    path = getattr(info, "filename", None)
    return str(path) if path else None


def find_checkpoint(name: object) -> str | None:
    """The path of the checkpoint that the host finds for `name`; None if it has none of that name."""
    aliases: dict[str, object] = getattr(sd_models, "checkpoint_aliases", {})
    return path_of(aliases.get(name)) if isinstance(name, str) else None


def selected_checkpoint() -> str | None:
    """The path of the checkpoint that the next picture is made with."""
    parameters: dict[str, object] = getattr(sd_models.model_data, "forge_loading_parameters", {})
    option = shared.opts.data.get("sd_model_checkpoint")
    return path_of(parameters.get("checkpoint_info")) or find_checkpoint(option) or loaded_checkpoint()


def loaded_checkpoint() -> str | None:
    return path_of(getattr(sd_models.model_data.sd_model, "sd_checkpoint_info", None))


def install(header: Header) -> Callable[[], None]:
    """Makes `header` follow the checkpoints that the host loads; returns a function that restores the host's own."""
    undo = [wrap_with(module, name, after(header, path)) for module, name, path in loaders()]
    undo.append(wrap_with(processing, "process_images_inner", during(header)))
    undo.append(wrap_with(infotext_utils, "get_override_settings", pasted(header)))
    undo.append(keep_saved(header))

    def put_back() -> None:
        for function in reversed(undo):
            function()
        header.give_back()

    return put_back


def follow_plots(header: Header) -> list[Callable[[], None]]:
    """Makes `header` follow the checkpoints that X/Y/Z plots select; returns what restores the host's functions.

    Called when the host has loaded its scripts.
    """
    follow = after(header, selected_checkpoint)
    return [wrap_with(plot, "refresh_loading_params_for_xyz_grid", follow) for plot in plot_modules()]


def loaders() -> list[tuple[Any, str, Callable[[], str | None]]]:
    """Forge has `reload_model_weights` too, which does nothing there: what is loaded may be no longer selected."""
    entry = forge_entry()
    if hasattr(entry, "refresh_model_loading_parameters"):
        return [(entry, "refresh_model_loading_parameters", selected_checkpoint)]
    return [(sd_models, "reload_model_weights", loaded_checkpoint)]


def forge_entry() -> ModuleType | None:
    try:
        from modules_forge import main_entry
    except ImportError:
        return None
    return main_entry


def after(header: Header, path: Callable[[], str | None]) -> Wrap:
    """Follows even if loading has failed: another checkpoint than before may be loaded."""

    def wrap(original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            return original(*args, **kwargs)
        except BaseException:
            header.loading_failed()
            raise
        finally:
            if kwargs.get("refresh", True):  # Neo also calls it, with False, when nothing is selected
                header.follow(path())

    return wrap


def during(header: Header) -> Wrap:
    def wrap(original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        p = cast(Processing, args[0] if args else kwargs.get("p"))
        with header.generation(p):
            return original(*args, **kwargs)

    return wrap


def pasted(header: Header) -> Wrap:
    def wrap(original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return header.with_pasted(original(*args, **kwargs), args[0] if args else kwargs.get("params", {}))

    return wrap


def keep_saved(header: Header) -> Callable[[], None]:
    """Makes the host save the user's own value while the header follows another one."""
    opts = cast(Any, shared.opts)
    original = opts.save

    def save(*args: Any, **kwargs: Any) -> Any:
        data = header.saved()
        method = getattr(original, "__func__", None)
        if data is opts.data or method is None:
            return original(*args, **kwargs)
        copy = object.__new__(type(opts))
        copy.__dict__.update(opts.__dict__)
        copy.__dict__["data"] = data
        return method(copy, *args, **kwargs)

    others = opts.__dict__.get("save")
    opts.__dict__["save"] = save

    def put_back() -> None:
        if opts.__dict__.get("save") is save:
            del opts.__dict__["save"]
            if others is not None:
                opts.__dict__["save"] = others

    return put_back
