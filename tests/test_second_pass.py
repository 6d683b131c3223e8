"""ADetailer's passes: generations of their own, with the panel and the tags of the picture that they are for."""

import torch

from .test_webui import conditioning, host  # noqa: F401  (the fixture)


def pass_over(host, outer, picture, prompts, **more):  # noqa: F811
    """A pass over a picture of `outer`, in the middle of that generation."""
    outer.batch_index = picture
    return host.generate(prompts, _ad_inner=True, **more)


def test_a_pass_has_the_panel_of_its_picture(host):  # noqa: F811
    panel = {"enabled": True, "clip_skip": 5, "negative": 3}
    outer = host.generate(["a cow"], args=[panel])
    made = pass_over(host, outer, 0, ["a face"])
    assert torch.equal(conditioning(made), host.at(5, "a face"))
    assert torch.equal(made.uc[0][0], host.at(3, ""))
    after = host.generate(["a cow"])
    assert torch.equal(conditioning(pass_over(host, after, 0, ["a face"])), host.at(1, "a face"))


def test_a_tag_of_its_own_comes_first(host):  # noqa: F811
    outer = host.generate(["<clipskip:2>a cow"], args=[{"enabled": True, "clip_skip": 5}])
    made = pass_over(host, outer, 0, ["<clipskip:7>a face"], negatives=["bad<clipskip:4>"])
    assert torch.equal(conditioning(made), host.at(7, "a face"))
    assert torch.equal(made.uc[0][0], host.at(4, "bad"))


def test_adetailers_own_clip_skip_replaces_the_panel(host):  # noqa: F811
    outer = host.generate(["a cow"], args=[{"enabled": True, "clip_skip": 5}])
    made = pass_over(host, outer, 0, ["a face"], override_settings={"CLIP_stop_at_last_layers": 9})
    assert torch.equal(conditioning(made), host.at(1, "a face"))  # the stand-in applies no overrides


def test_a_pass_over_a_cell_of_a_sweep_is_made_at_the_cells_value(host):  # noqa: F811
    from types import SimpleNamespace

    from clip_skip.prompt.override import Override
    from clip_skip.webui.state import State

    cells = [Override(skip) for skip in (2.0, 6.0)]
    overrides = SimpleNamespace(clip_skip_state=State(cells), extra_generation_params={})
    outer = host.generate(["a cow", "a cow"], ["", ""], overrides_of=overrides)
    for picture, skip in enumerate((2, 6)):
        assert torch.equal(conditioning(pass_over(host, outer, picture, ["a face"])), host.at(skip, "a face"))


def test_our_script_is_added_to_adetailers_once(standins):
    from modules.shared import Options

    from clip_skip.webui.second_pass import admit

    nothing = Options()
    admit(nothing)
    assert nothing.data == {}
    opts = Options({"ad_script_names": "dynamic_prompting, wildcards"})
    admit(opts)
    assert opts.data["ad_script_names"] == "dynamic_prompting, wildcards,clip_skip"
    removed = Options({**opts.data, "ad_script_names": "wildcards"})
    admit(removed)
    assert removed.data["ad_script_names"] == "wildcards"
    own = Options({"ad_script_names": "clip_skip, wildcards"})
    admit(own)
    assert own.data["ad_script_names"] == "clip_skip, wildcards"
