"""What the standalone page does, without gradio and without a browser."""

import ast
import json
import re
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clip_skip import panel
from clip_skip.encoder import SKIP_TOO_DEEP
from clip_skip.messages import catalogues
from clip_skip.messages.catalogues import translator
from clip_skip.messages.message import reason
from clip_skip.prompt.override import REPLACED
from clip_skip.prompt.parsed import IGNORED
from clip_skip.standalone.app import assets, reading
from clip_skip.standalone.app.studio import INTERRUPTED_SWEEP, NO_REPORT, OUT_OF_MEMORY, Interrupted, Studio
from clip_skip.standalone.cli import main as cli
from clip_skip.standalone.demo.model import CHECKPOINT
from clip_skip.standalone.engine.progress import CELLS_OF
from clip_skip.standalone.option_kinds import (
    NOT_A_MULTIPLE,
    NOT_ONE_OF,
    NOTHING_GIVEN,
    OPTION_NOT_WHOLE,
    OUTSIDE,
    FieldError,
)
from clip_skip.standalone.options import OPTIONS, SAME_SAMPLER
from clip_skip.standalone.prompts import conditioning
from clip_skip.standalone.sampling.samplers import SAMPLERS
from clip_skip.sweep import settings as sweep_settings
from clip_skip.sweep.axis import SweepError
from clip_skip.sweep.settings import SweepSettings

PROMPT = "a large red circle"
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    return Studio(CHECKPOINT, "cpu", tmp_path_factory.mktemp("app"))


FIELDS = {
    **{option.name: option.kind.none if option.default is None else option.default for option in OPTIONS},
    **{"prompt": PROMPT, "seed": 1, "steps": 2, "width": 64, "height": 64, "sampler": "Euler"},
    "hires_sampler": "what the page calls it in the reader's language",
}
"""What the page has for each option."""


def settings(studio, prompt=PROMPT, checkpoint=None, **fields):
    return reading.read_settings({**FIELDS, "prompt": prompt, **fields}, checkpoint or studio.first)


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB"), dtype=np.int16)


def picture(studio, prompt=PROMPT, slider=1, checkpoint=None, **fields):
    return studio.picture(checkpoint or studio.first, settings(studio, prompt, checkpoint, **fields), slider)


def sweep(studio, wanted, *args, **more):
    return studio.sweep(studio.first, wanted, *args, **more)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"seed": None}, f"Seed: {NOTHING_GIVEN}"),
        ({"seed": 2**64}, f"Seed: {OUTSIDE(value=2**64, low=-1, high=2**64 - 1)}"),
        ({"seed": float("nan")}, f"Seed: {OUTSIDE(value='nan', low=-1, high=2**64 - 1)}"),
        ({"steps": 0}, f"Steps: {OUTSIDE(value=0, low=1, high=1000)}"),
        ({"steps": 2.5}, f"Steps: {OPTION_NOT_WHOLE(value='2.5')}"),
        ({"width": 65}, f"Width: {NOT_A_MULTIPLE(value=65, factor=8)}"),
        ({"height": True}, 'Height: "True" is not a number'),
        ({"sampler": "PLMS"}, "Sampler: " + str(NOT_ONE_OF(value='"PLMS"', choices=", ".join(SAMPLERS)))),
        ({"sampler": "Euler b"}, 'Sampler: "Euler b" is not known; did you mean Euler a?'),
    ],
)
def test_a_field_that_cannot_be_used_is_named(studio, field, message):
    with pytest.raises(FieldError, match=re.escape(message)):
        settings(studio, **field)


@pytest.mark.parametrize(("slider", "cfg_scale"), [(0, 7), (13, 7), (1.5, 7), (None, 7), (1, None), (1, -1), (1, 101)])
def test_a_slider_out_of_bounds_is_named(studio, slider, cfg_scale):
    with pytest.raises(FieldError, match=r"^(Clip skip|CFG scale): "):
        picture(studio, slider=slider, cfg_scale=cfg_scale)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "nowhere.safetensors"], "--model: nowhere.safetensors: there is no such file"),
        (["--out", str(CHECKPOINT)], "--out: "),
        (["--port", "99999"], "--port: 99999 is outside 1 to 65535"),
        (["--port", "0"], "--port: 0 is outside 1 to 65535"),
        (["--device", "cpu:x"], "--device: "),
        (["--device", "tpu"], '--device: "tpu" is not cpu'),
        (["--language", "xx"], "argument --language: invalid choice: 'xx'"),
    ],
)
def test_bad_arguments_of_the_command_end_with_code_2(capsys, arguments, message):
    pytest.importorskip("gradio", reason="gradio is not installed: no page to start")
    with pytest.raises(SystemExit) as end:
        cli.main(["app", "--no-browser", *arguments])
    assert end.value.code == 2 and message in capsys.readouterr().err


def test_seed_minus_1_is_another_one_each_time(studio):
    seeds = {settings(studio, seed=-1).seed for _ in range(4)}
    assert len(seeds) == 4 and all(0 <= seed < 2**32 for seed in seeds)


@pytest.mark.parametrize("value", [1, 2, 7, 12])
def test_a_tag_makes_what_the_slider_makes(studio, value):
    by_slider = picture(studio, slider=value)
    by_tag = picture(studio, f"<clipskip:{value}>{PROMPT}", slider=5)
    assert (pixels(by_slider.path) == pixels(by_tag.path)).all()
    assert by_slider.infotext == by_tag.infotext and f"Clip skip: {value}" in by_tag.infotext
    assert Image.open(by_tag.path).info["parameters"] == by_tag.infotext


def test_the_negative_prompt_follows_or_has_its_own(studio):
    same = picture(studio, slider=6, negative="blue")
    followed = picture(studio, slider=6, negative="<clipskip:6>blue")
    own = picture(studio, slider=6, negative="<clipskip:12>blue")
    assert (pixels(same.path) == pixels(followed.path)).all()
    assert (pixels(same.path) != pixels(own.path)).any()
    assert "Negative prompt: <clipskip:12>blue" in own.infotext


def test_what_is_wrong_with_a_tag_is_told(studio):
    made = picture(studio, "<clipskip:abc> <clipskip:99> a circle 円")
    assert (pixels(made.path) == pixels(picture(studio, "a circle 円", slider=12).path)).all()
    assert [note.template for note in made.notes] == [IGNORED, SKIP_TOO_DEEP]
    assert SKIP_TOO_DEEP(value="99", layers=12, name="CLIP ViT-L/14", used=12) in made.notes
    assert Image.open(made.path).info["parameters"].lstrip().startswith("a circle 円\n")


def test_pictures_are_kept_and_numbered(studio):
    first, second = picture(studio, seed=5).path, picture(studio, seed=5).path
    assert second.name == f"{int(first.name[:5]) + 1:05}-5.png" and first.is_file()


def test_a_cell_of_a_sweep_is_the_picture_of_its_settings(studio):
    made = sweep(studio, settings(studio), SweepSettings("1, 2.5, 12", "4, 7", report=True))
    assert made.figures["cells_made"] == 6 and made.figures["encoder_passes"] <= 2 and made.notes == []
    for skip, cfg_scale in [(1, 4), (12, 7)]:
        (cell,) = made.folder.glob(f"cells/clip-skip-{skip}_cfg-{cfg_scale}_*.png")
        assert np.abs(pixels(cell) - pixels(picture(studio, slider=skip, cfg_scale=cfg_scale).path)).max() <= 2
    assert Image.open(made.report).width > 500
    again = sweep(studio, settings(studio), SweepSettings("1, 2.5, 12", "4, 7"))
    assert again.figures["cells_made"] == 0 and again.figures["cells_kept"] == 6
    assert again.folder == made.folder and again.report is None


@pytest.mark.parametrize(("skips", "scales", "field"), [("1-13", "7", "Clip skips"), ("1", "x", "CFG scales")])
def test_a_bad_axis_is_named(studio, skips, scales, field):
    with pytest.raises(SweepError, match=f"^{field}: "):
        sweep(studio, settings(studio), SweepSettings(skips, scales))


def test_an_interrupted_sweep_keeps_what_is_finished_and_goes_on(studio):
    made_before = []

    def interrupt_in_the_second_batch(done, total, what):
        made_before.append(what)
        if done > total // 2:
            studio.interrupt("sweep")

    wanted = settings(studio, seed=77)
    made = sweep(studio, wanted, SweepSettings("1-12", "4, 7", report=True), interrupt_in_the_second_batch)
    assert made.figures["cells_made"] == 12 and made.report is None
    assert [*dict.fromkeys(map(str, made_before))] == ["cell 1 to 12 of 24", "cell 13 to 24 of 24"]
    assert made.notes == [INTERRUPTED_SWEEP, NO_REPORT]
    grid = pixels(made.folder / "grid.png")
    again = sweep(studio, wanted, SweepSettings("1-12", "4, 7", report=True))
    assert again.figures["cells_kept"] == 12 and again.figures["cells_made"] == 12 and again.report.is_file()
    whole = pixels(again.folder / "grid.png")
    half = grid.shape[0] // 2
    assert (grid[:half] == whole[:half]).all() and (grid[half:] != whole[half:]).any()
    record = json.loads((again.folder / "sweep.json").read_text(encoding="utf8"))
    assert record["run"]["cells_kept"] == 12 and "interrupted" not in record["run"]


def test_an_interrupted_picture_leaves_nothing_and_the_next_one_is_made(studio):
    before = sorted((studio.out / "pictures").glob("*"))
    with pytest.raises(Interrupted):
        studio.picture(studio.first, settings(studio), 1, lambda: studio.interrupt("picture"))
    assert sorted((studio.out / "pictures").glob("*")) == before
    studio.interrupt("picture")  # nothing is being made
    assert picture(studio).path.is_file()


def test_interrupt_is_for_what_it_stands_beside(studio):
    """A picture that waits for a sweep can be interrupted, and the sweep goes on."""
    outcome = []

    def wait_for_the_sweep():
        try:
            picture(studio)
        except Interrupted:
            outcome.append("interrupted")

    waiting = threading.Thread(target=wait_for_the_sweep)

    def start_and_interrupt_a_picture(done, total, what):
        if not waiting.ident:
            waiting.start()
            time.sleep(0.5)
            studio.interrupt("picture")

    made = sweep(studio, settings(studio, seed=79), SweepSettings("1, 2", "7"), start_and_interrupt_a_picture)
    waiting.join(timeout=60)
    assert outcome == ["interrupted"] and made.figures["cells_made"] == 2 and made.notes == []


def test_interrupt_is_for_the_window_that_asks(studio):
    """Another window's interrupt ends neither what is being made nor what waits in this one."""

    def interrupt_from_elsewhere(done, total, what):
        studio.interrupt("sweep", "another")

    made = sweep(studio, settings(studio, seed=81), SweepSettings("1, 2", "7"), interrupt_from_elsewhere, window="this")
    assert made.figures["cells_made"] == 2 and made.cells == 2
    with pytest.raises(Interrupted):
        studio.picture(studio.first, settings(studio), 1, lambda: studio.interrupt("picture", "this"), window="this")


def test_what_waits_elsewhere_can_be_interrupted(studio):
    studio.announce("sweep", "this")
    studio.interrupt("sweep", "this")
    with pytest.raises(Interrupted):
        sweep(studio, settings(studio, seed=82), SweepSettings("1", "7"), window="this")
    assert sweep(studio, settings(studio, seed=82), SweepSettings("1", "7"), window="this").figures["cells_made"] == 1


def test_an_interrupt_of_what_never_began_does_not_end_the_next(studio):
    studio.announce("picture", "this")
    studio.interrupt("picture", "this")  # and one of its fields could not be used
    studio.announce("picture", "this")
    assert studio.picture(studio.first, settings(studio), 1, window="this").path.is_file()


def test_infotext_has_no_blanks_before_it_and_no_bad_tags(studio):
    made = picture(studio, "<clipskip:abc> <clipskip:2> a circle", negative="<clipskip:x> bad <clipskip:3>")
    assert made.infotext.startswith("a circle\nNegative prompt: bad <clipskip:3>\n")


def test_closing_waits_for_what_is_being_made(tmp_path):
    other = Studio(CHECKPOINT, "cpu", tmp_path)
    closing = threading.Thread(target=other.close)
    with pytest.raises(Interrupted):
        other.picture(other.first, settings(other, steps=50), 1, lambda: closing.ident or closing.start())
    closing.join(timeout=60)
    assert not closing.is_alive()


def test_no_report_of_another_sweep_stays_beside_a_grid(studio):
    wanted = settings(studio, seed=80)
    assert sweep(studio, wanted, SweepSettings("1, 2", "4, 7", report=True)).report.is_file()
    assert not (sweep(studio, wanted, SweepSettings("1", "7")).folder / "report.png").exists()


def test_rows_of_seeds_and_of_replaced_text(studio):
    common = {"clip_skips": "1, 12", "report": True}
    made = sweep(studio, settings(studio), SweepSettings(rows="seed", seeds="83, 84", cfg_scales="?", **common))
    (cell,) = made.folder.glob("cells/clip-skip-12_seed-84_*.png")
    assert np.abs(pixels(cell) - pixels(picture(studio, slider=12, seed=84).path)).max() <= 2
    assert made.cells == 4 and made.report.is_file()
    made = sweep(
        studio, settings(studio, "a circle"), SweepSettings(rows="prompt", replacements="circle, ring", **common)
    )
    assert made.cells == 4 and made.figures["cells_made"] == 4
    with pytest.raises(SweepError, match=f'{sweep_settings.LABELS["replacements"]}: "cow" is neither in the prompt'):
        sweep(studio, settings(studio, "a hen"), SweepSettings(rows="prompt", replacements="cow, hen"))
    with pytest.raises(SweepError, match=re.escape(f"Rows: {sweep_settings.NEEDS_SDXL}")):
        sweep(studio, settings(studio), SweepSettings(rows="clip_g"))


def test_a_sweep_tells_what_it_makes_of_tags(studio):
    notes = sweep(studio, settings(studio, "<clipskip:5> a", negative="<clipskip:99> b"), SweepSettings("1", "7")).notes
    assert notes == [
        REPLACED(tag='"<clipskip:5>"'),
        SKIP_TOO_DEEP(value="99", layers=12, name="CLIP ViT-L/14", used=12),
    ]


def test_a_persons_own_file_among_the_pictures(studio):
    first = picture(studio).path
    first.with_name("2nd-try.png").write_bytes(first.read_bytes())
    assert int(picture(studio).path.name[:5]) == int(first.name[:5]) + 1


def test_out_of_memory_is_told(studio, monkeypatch):
    engine = studio.engine(studio.first, "Original")
    make = engine.make

    def short_of_memory(batch, on_step):
        if len(batch.shots) > 2:
            raise RuntimeError("CUDA out of memory")
        return make(batch, on_step)

    monkeypatch.setattr(engine, "make", short_of_memory)
    made = sweep(studio, settings(studio, seed=78), SweepSettings("1-3", "7"))
    assert made.notes == [OUT_OF_MEMORY(size=1)]
    assert made.figures["cells_made"] == 3


def test_the_encoder_keeps_a_bounded_number_of_texts(studio, monkeypatch):
    monkeypatch.setattr(conditioning, "MOST_ENCODINGS", 32)
    conditioner = studio.engine(studio.first, "Original").conditioner
    for number in range(40):
        conditioner.prepare([((f"text {number}", ""), 1, 0)])
        conditioner.prepare([(("in use", ""), 1, 0)])
    kept, passes = conditioner._states_by_key, conditioner.passes
    conditioner.prepare([(("in use", ""), 1, 0)])
    assert len(kept) == 32 and conditioner.passes == passes


def test_the_layers(studio):
    light, sentences = studio.layers(studio.first, "a red circle <clipskip:3>", False)
    lit = pixels(light).mean()
    dark, _ = studio.layers(studio.first, "a red circle", True)
    assert "biggest change" in str(sentences[0])
    assert lit > 180 and pixels(dark).mean() < 90


@pytest.fixture
def client(studio):
    fastapi = pytest.importorskip("fastapi", reason="fastapi, which gradio brings, is not installed")
    testclient = pytest.importorskip("fastapi.testclient", reason="httpx, which gradio brings, is not installed")
    from clip_skip.standalone.app.routes import add_routes

    app = fastapi.FastAPI()
    add_routes(app, studio.checkpoints, studio.sweeps, translator("ja_JP"))
    return testclient.TestClient(app)


OF_DEMO = f"checkpoint={CHECKPOINT.stem}"


def test_the_routes_answer_as_the_extensions_do(client):
    answer = client.get(f"/clip-skip/v1/encoders?wait=true&{OF_DEMO}").json()
    encoder = {"name": "CLIP ViT-L/14", "tower": "l", "layers": 12, "native": 1}
    assert answer.pop("encoders") == [{**encoder, "header": {"offset": 0, "least": 1}}]
    assert answer == {"model": "SD1", "checkpoint": CHECKPOINT.stem, "header_acts": True}
    texts = {"prompt": "<clipskip:2:g=3> a <clipskip:x>", "negative": None}
    answer = client.post(f"/clip-skip/v1/read?{OF_DEMO}", json=texts).json()
    assert answer["tag"] == "<clipskip:2:g=3>" and answer["values"] == {"l": 2, "g": 3, "h": 2}
    assert answer["suggestions"] == answer["problems"] == []
    assert len(answer["warnings"]) == 2 and "SD1では効果がありません" in answer["boxes"]["prompt"][1]
    assert "無視" in answer["warnings"][0]
    texts = {"text": "a red <clipskip:4> circle", "tag": "<clipskip:2>"}
    assert client.post("/clip-skip/v1/put", json=texts).json() == {"text": "a red <clipskip:2> circle"}


def test_the_routes_show_a_sweeps_viewer_and_grid_and_nothing_else(client, studio):
    made = sweep(studio, settings(studio), SweepSettings("1", "7"))
    place = f"/clip-skip/v1/sweeps/{made.folder.name}"
    answer = client.get(f"{place}/index.html")
    assert answer.text == (made.folder / "index.html").read_text(encoding="utf8")
    assert answer.headers["cache-control"] == "no-cache"
    assert client.get(f"{place}/{made.grid.name}").content == made.grid.read_bytes()
    (studio.out / "index.html").write_text("a file outside")
    (studio.out / "grid.png").write_bytes(made.grid.read_bytes())
    others = (f"{place}/sweep.json", f"{place}/lock.png", f"{place}/%2e%2e%2fgrid.png", f"{place}/grid-2.png")
    for path in (
        *others,
        *(f"/clip-skip/v1/sweeps/{name}" for name in ("%2e%2e/index.html", "aaaa/index.html", "%2e%2e/grid.png")),
    ):
        assert client.get(path).status_code == 404, path


def test_the_page_has_every_script_and_both_styles():
    script = assets.script({"opts": {}, "localization": {}})
    for file in [
        *(ROOT / "javascript").glob("*.js"),
        ROOT / "style.css",
        assets.HERE / "app.css",
        assets.HERE / "shim.js",
        assets.HERE / "app.js",
    ]:
        assert json.dumps(file.read_text(encoding="utf8")) in script, file
    assert catalogues.languages() == ["ja_JP", "ko_KR", "zh_CN", "zh_TW"]


@pytest.mark.parametrize("language", ["ja_JP", "ko_KR", "zh_CN", "zh_TW"])
def test_every_label_of_the_page_is_translated(language):
    words = catalogues.catalogue(language)
    sources = [(assets.HERE / f"{name}.py").read_text(encoding="utf8") for name in ("page", "sweep_tab", "fields")]
    calls = [node for source in sources for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    functions = ("tr", "voice.tr", "self.voice.tr", "self.start_button", "start_button")
    asked = {
        node.args[0].value
        for node in calls
        if ast.unparse(node.func) in functions and isinstance(node.args[0], ast.Constant)
    }
    asked |= {
        SAME_SAMPLER,
        panel.FIELDS[0].label,
        *(option.label for option in OPTIONS),
        *sweep_settings.LABELS.values(),
    }
    assert len(asked) > 20
    assert asked - words.keys() == set()


@pytest.mark.parametrize("language", ["ja_JP", "ko_KR", "zh_CN", "zh_TW"])
def test_what_is_wrong_is_told_in_the_pages_language(studio, language):
    messages = [
        REPLACED(tag='"<clipskip:5>"'),
        CELLS_OF(first=1, last=12, count=36),
        "Interrupted.",
        INTERRUPTED_SWEEP,
        NO_REPORT,
        OUT_OF_MEMORY(size=3),
    ]
    for field in ({"seed": None}, {"steps": 0}, {"steps": 2.5}, {"width": 65}):
        with pytest.raises(FieldError) as wrong:
            settings(studio, **field)
        messages.append(wrong.value.message)
    huge = "1," * 20_000
    for axis in ("", "x", "99", "1-3 (0)", "1-3 (-1)", "1-3 [0]", "1-9 (+0.001)", "1-9 (+0.01), 1-9 (+0.0101)", huge):
        with pytest.raises(SweepError) as wrong:
            sweep(studio, settings(studio), SweepSettings(axis, "7"))
        messages.append(reason(wrong.value))
    for message in messages:
        told = translator(language)(message)
        assert told != str(message) and "{" not in told, message
        assert not re.search(r"\b(is|the|values?|given|of|to|cells)\b", re.sub(r'"[^"]*"', "", told)), told
        assert all(quoted in told for quoted in re.findall(r'"[^"]*"', str(message))), told


def test_a_sweep_in_chinese(studio):
    chinese = translator("zh_CN")
    made = sweep(studio, settings(studio), SweepSettings("1, 2.5", "4"), language="zh_CN", translate=chinese)
    page = (made.folder / "index.html").read_text(encoding="utf8")
    assert '<html lang="zh-CN"' in page and chinese("Swap axes") in page and chinese("Swap axes") != "Swap axes"
    english = sweep(studio, settings(studio), SweepSettings("1, 2.5", "4"))
    assert english.figures["cells_made"] == 0 and 'lang="en"' in (made.folder / "index.html").read_text(encoding="utf8")
