"""The extension's section of the Settings page, and the presets of the sweep, in Chromium."""

from .test_page import choose_sweep, expect, page, prose, sync_api  # noqa: F401

PART = "#script_txt2img_clip_skip_sweep"
NAMES = ("clip_skip_completion", "clip_skip_readout", "clip_skip_suggestions", "clip_skip_suggestions_from_weights")
NAMES += ("clip_skip_viewer", "clip_skip_panel_enabled", "clip_skip_panel_clip_skip", "clip_skip_sweep_clip_skips")


def test_the_section_and_its_defaults(webui, page):  # noqa: F811
    # the API of Forge Classic leaves out what extensions have added
    assert page.evaluate("names => names.map((name) => opts[name])", NAMES) == [True] * 5 + [False, 1, "1-12"]
    page.locator("#tabs button", has_text="Settings").first.click()
    page.locator("#settings button", has_text="Clip Skip").first.click()
    for name in NAMES:
        sync_api.expect(page.locator(f"#setting_{name}")).to_be_visible()


def test_a_setting_acts_at_once(webui, page):  # noqa: F811
    page.locator("#tabs button", has_text="Settings").first.click()
    page.locator("#settings button", has_text="Clip Skip").first.click()
    box = page.locator("#setting_clip_skip_readout input")
    try:
        box.uncheck()
        page.locator("#settings_submit").click()
        sync_api.expect(page.locator("#clip_skip_readout")).to_have_count(0, timeout=60_000)
        box.check()
        page.locator("#settings_submit").click()
        expect(page, "stops after layer")
    finally:
        webui.call("/sdapi/v1/options", {"clip_skip_readout": True})


def field(page, name):  # noqa: F811
    return page.locator(f"{PART}_{name} textarea")


def choose(page, name):  # noqa: F811
    page.locator(f"{PART}_preset input").click()
    page.locator(f"{PART}_preset ul.options li", has_text=name).first.click()


def test_presets_are_chosen_saved_and_deleted(webui, page):  # noqa: F811
    choose_sweep(page)
    preset = page.locator(f"{PART}_preset input")
    choose(page, "Quick look")
    sync_api.expect(field(page, "clip_skips")).to_have_value("1-4", timeout=60_000)
    choose(page, "On 8 seeds")
    sync_api.expect(field(page, "seeds")).to_be_visible(timeout=60_000)
    sync_api.expect(field(page, "seeds")).to_have_value("1-8", timeout=60_000)
    sync_api.expect(page.locator(f"{PART}_report input")).to_be_checked(timeout=60_000)
    choose(page, "Reference")
    sync_api.expect(field(page, "cfg_scales")).to_have_value("4, 7, 11", timeout=60_000)
    sync_api.expect(field(page, "clip_skips")).to_have_value("1-12", timeout=60_000)  # or it comes after what is typed
    field(page, "clip_skips").fill("2, 3")
    told = prose(f"{PART}_preset_told")
    try:
        page.locator(f"{PART}_preset_save").click()
        expect(page, 'Preset: "Reference: 1-12 by CFG 4, 7, 11" is built in', told)
        preset.fill("of a test")
        preset.press("Enter")
        page.locator(f"{PART}_preset_save").click()
        expect(page, 'Preset "of a test" was saved.', told)
        choose(page, "Quick look")
        sync_api.expect(field(page, "clip_skips")).to_have_value("1-4", timeout=60_000)
        choose(page, "of a test")
        sync_api.expect(field(page, "clip_skips")).to_have_value("2, 3", timeout=60_000)
        page.reload()
        page.wait_for_selector("#clip_skip_readout", timeout=90_000)
        for tab in ("img2img", "txt2img"):
            page.locator("#tabs button", has_text=tab).first.click()
            page.locator("#script_list input:visible").click()
            page.locator("ul.options li:visible", has_text="Clip skip sweep").first.click()
            page.locator(f"#script_{tab}_clip_skip_sweep_preset input").click()
            page.locator("ul.options li:visible", has_text="of a test").first.click()
            filled = page.locator(f"#script_{tab}_clip_skip_sweep_clip_skips textarea")
            sync_api.expect(filled).to_have_value("2, 3", timeout=60_000)
        page.locator(f"{PART}_preset_delete").click()
        expect(page, 'Preset "of a test" was deleted.', told)
        preset.click()
        sync_api.expect(page.locator("ul.options li:visible", has_text="Quick look")).to_be_visible()
        sync_api.expect(page.locator("ul.options li:visible", has_text="of a test")).to_have_count(0)
    finally:
        webui.call("/sdapi/v1/options", {"clip_skip_sweep_presets": {}})
