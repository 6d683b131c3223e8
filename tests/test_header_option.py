"""The host's own clip-skip option with values that clients send and saved files have."""

import json

import pytest
import torch

from .test_sweep_webui import job
from .test_webui import conditioning, host  # noqa: F401  (the fixture)

OPTIONS = [("2", 2), (2.0, 2), ("3", 3), (3.0, 3), (None, 1), ("CPU", 1), (0, 1), (-2, 1), (True, 1), (99, 99)]
OPTIONS += [(float("nan"), 1), (float("inf"), 1), ([2], 1), ("9" * 5000, 1)]


@pytest.mark.parametrize(("value", "number"), OPTIONS, ids=lambda value: repr(value)[:20])
def test_whatever_the_option_is_nothing_of_ours_fails(host, value, number, caplog):  # noqa: F811
    """A client or a saved file may have put anything there; Forge Neo casts it, and makes the picture."""
    from clip_skip.webui import infotext, models_in_use
    from clip_skip.webui.hosts.encoders import describe_model
    from clip_skip.webui.hosts.header_option import header_option

    wanted = {skip: host.at(skip, "a cow") for skip in (4, 5)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(host.shared.opts.data, "CLIP_stop_at_last_layers", value)
        assert header_option() == number and describe_model(host.model).header_skip == number
        assert infotext.hosts_own() == (str(number) if number > 1 else None)
        host.stage.encode_with_transformers = cast_as_neo(host.stage.encode_with_transformers)
        p = host.generate(["<clipskip:5>a cow", "<clipskip:2.5>a"], ["", ""])
        entry = p.extra_generation_params["Clip skip"]
        written = [entry(p=p, index=index, all_prompts=p.all_prompts) for index in range(2)]
        assert written == ["5", str(number) if number > 1 else None]
        assert torch.allclose(conditioning(p), wanted[5], atol=1e-5)
        p = host.generate(["a cow"], args=[{"enabled": True, "clip_skip": 4}], is_api=True)
        assert torch.allclose(conditioning(p), wanted[4], atol=1e-5)
        assert models_in_use.suggest_while_writing(host.model, "a cow", None) == {"suggestions": [], "problems": []}
    assert not caplog.records


def cast_as_neo(original):
    def encode_with_transformers(tokens):
        from modules.shared import opts

        value = opts.data["CLIP_stop_at_last_layers"]
        try:
            opts.data["CLIP_stop_at_last_layers"] = min(max(int(value), 1), 12)
        except (TypeError, ValueError, OverflowError):
            opts.data["CLIP_stop_at_last_layers"] = 1
        try:
            return original(tokens)
        finally:
            opts.data["CLIP_stop_at_last_layers"] = value

    return encode_with_transformers


@pytest.mark.parametrize("value", ["2", 2.0, None, "CPU", -2, 99], ids=repr)
def test_whatever_the_option_is_a_sweep_is_made(host, value):  # noqa: F811
    wanted = {skip: host.at(skip, "a cow") for skip in (1, 3)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(host.shared.opts.data, "CLIP_stop_at_last_layers", value)
        host.stage.encode_with_transformers = cast_as_neo(host.stage.encode_with_transformers)
        p = job(host)
        result = host.sweep_script.run(p, {"clip_skips": "1, 3", "rows": "negative", "row_values": "1, 4"})
    ((_, done),) = p.make.made
    assert len(result.infotexts) == 5 and json.loads(result.js())
    for picture, skip in enumerate((1, 3, 1, 3)):
        assert torch.allclose(done.c[picture][0][0], wanted[skip], atol=1e-5)


def test_a_number_with_a_point_is_written_without(host):  # noqa: F811
    from clip_skip.webui import infotext

    host.shared.opts.data["CLIP_stop_at_last_layers"] = 3.0
    assert infotext.hosts_own() == "3"
