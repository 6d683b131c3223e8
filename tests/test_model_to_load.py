"""What the page knows of a checkpoint that the host loads with the next picture, and the guide that it links to."""

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
from safetensors.torch import save_file  # noqa: E402

from .test_webui import host  # noqa: F401, E402  (the fixture)

CLIP = "cond_stage_model.transformer.text_model.encoder.layers.{}.mlp.fc1.weight"
OPEN_CLIP = "cond_stage_model.model.transformer.resblocks.{}.mlp.c_fc.weight"
XL_L = "conditioner.embedders.0.transformer.text_model.encoder.layers.{}.mlp.fc1.weight"
XL_G = "conditioner.embedders.1.model.transformer.resblocks.{}.mlp.c_fc.weight"


@pytest.mark.parametrize(
    ("blocks", "kind", "encoders"),
    [
        ({CLIP: 12}, "SD1", [("l", 12, 1)]),
        ({OPEN_CLIP: 23}, "SD2", [("h", 24, 2)]),
        ({XL_L: 12, XL_G: 32}, "SDXL", [("l", 12, 2), ("g", 32, 2)]),
        ({"model.{}.weight": 3}, None, []),
    ],
)
def test_a_checkpoint_is_described_before_it_is_loaded(host, tmp_path, monkeypatch, blocks, kind, encoders):  # noqa: F811
    from modules import sd_models

    from clip_skip.webui.page import routes

    path = tmp_path / "m.safetensors"
    save_file({name.format(block): torch.zeros(1) for name, count in blocks.items() for block in range(count)}, path)
    info = SimpleNamespace(filename=str(path), name="m.safetensors")
    monkeypatch.setattr(sd_models.model_data, "forge_loading_parameters", {"checkpoint_info": info}, raising=False)
    answer = routes.describe_encoders()
    assert answer["model"] == kind and answer["loads_later"] and answer["checkpoint"] == "m.safetensors"
    assert [(one["tower"], one["layers"], one["native"]) for one in answer["encoders"]] == encoders
    warnings = routes.resolve_prompts({"prompt": "<clipskip:99>a"})["boxes"]["prompt"]
    assert len(warnings) == len(encoders)


@pytest.mark.parametrize("content", [None, b"", b"PK" * 20])
def test_a_file_that_says_nothing(tmp_path, standins, content):
    from clip_skip.webui.page.model_to_load import describe_file

    path = tmp_path / "m.ckpt"
    if content is not None:
        path.write_bytes(content)
    assert describe_file(str(path)) == ("", [])


def test_the_guide_is_in_the_users_language_and_nothing_else_is_served(standins):
    pytest.importorskip("fastapi")
    from fastapi import HTTPException

    from clip_skip.webui.page import guide

    names = [guide.address(language) for language in ("en", "ja_JP", "zh_TW", "xx")]
    assert [name.rpartition("/")[2] for name in names] == ["guide.md", "guide.ja.md", "guide.zh_TW.md", "guide.md"]
    page = guide.document("guide.ja.md").body.decode()
    assert "<title>" in page and "手引き" in page
    assert guide.document("images/made-for.png").path.suffix == ".png"
    for name in ("../README.md", "../clip_skip/skip.py", "pictures.py", "nothing.md", "/etc/passwd"):
        with pytest.raises(HTTPException):
            guide.document(name)


def test_the_markdown_of_the_guide(standins):
    from clip_skip.webui.page.markdown import as_html

    text = (
        "# A `b`\n\nOne **two**\nthree *four* [x](y.md).\n\n![p](i.png)\n\n"
        "| a | b |\n|---|---|\n| 1 | <2> |\n\n- i\n- j\n\n```\n<k>\n```\n"
    )
    made = as_html(text)
    for part in (
        "<h1>A <code>b</code></h1>",
        '<p>One <b>two</b>\nthree <i>four</i> <a href="y.md">x</a>.</p>',
        '<img src="i.png" alt="p">',
        "<tr><th>a</th><th>b</th></tr><tr><td>1</td><td>&lt;2&gt;</td></tr>",
        "<ul><li>i</li><li>j</li></ul>",
        "<pre>&lt;k&gt;\n</pre>",
    ):
        assert part in made
