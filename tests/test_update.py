"""Reload UI after an update: the host runs the script again, while the old version's library is still in memory."""

import sys
import types

from .test_webui import Host


def test_reload_ui_after_an_update_registers_the_new_code(standins):
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
    from_library = [callback for callback in registered if callback.__module__ in sys.modules]
    assert from_library and all(one.__globals__ is vars(sys.modules[one.__module__]) for one in from_library)
    want = host.at(3, "a cow")
    assert host.generate(["<clipskip:3> a cow"]).c[0][0][0].equal(want)
