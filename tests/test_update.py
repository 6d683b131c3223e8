"""Reload UI after an update: the host runs the script again, while the old version's library is still in memory."""

import sys
import types

from .conftest import HOST_FREE
from .test_webui import Host


def vars_used(callback):
    """The modules of the library among the globals of the script or the module that a callback is from."""
    values = getattr(callback, "__func__", callback).__globals__.values()
    return [one for one in values if isinstance(one, types.ModuleType) and one.__name__.startswith("clip_skip.")]


def test_reload_ui_after_an_update_registers_the_new_code(standins, monkeypatch):
    monkeypatch.setattr(sys, "meta_path", [one for one in sys.meta_path if one is not HOST_FREE])
    host = Host()
    old = {name: sys.modules[name] for name in list(sys.modules) if name.split(".")[0] == "clip_skip"}
    for name in old:  # a version that has none of the names that the new one imports
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = []
    sys.modules["clip_skip.of_old"] = types.ModuleType("clip_skip.of_old")
    for callback in host.callbacks.pop("script_unloaded"):
        callback()
    host.callbacks.clear()
    host.load()
    assert "clip_skip.of_old" not in sys.modules
    assert not [name for name, module in old.items() if sys.modules.get(name) is module]
    registered = [callback for callbacks in host.callbacks.values() for callback in callbacks]
    used = [module for one in registered for module in vars_used(one)]
    assert used and all(sys.modules[module.__name__] is module for module in used)
    want = host.at(3, "a cow")
    assert host.generate(["<clipskip:3> a cow"]).c[0][0][0].equal(want)
