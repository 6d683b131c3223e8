"""The part of the tab that shows how alike the layers of the loaded model's text encoder are for a prompt."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr
import torch
from modules import devices, extra_networks, prompt_parser, sd_models, shared
from modules.call_queue import queue_lock
from PIL.Image import Image

from clip_skip.encoder import TOWER_NAMES
from clip_skip.layers.measure import Layers, LayersError, measure_layers, notes_on_prompt, token_labels
from clip_skip.messages.message import Message, MessageError, Template
from clip_skip.page.events import listen
from clip_skip.page.layers import LAYERS, SHOW_LAYERS, SUMMARY, WORDS_TO_SHOW
from clip_skip.prompt import tags
from clip_skip.prompt.sub_prompts import split_sub_prompts
from clip_skip.webui.host_language import translate
from clip_skip.webui.host_types import Chunk, EncoderModule, Model
from clip_skip.webui.hosts.encoders import describe_model
from clip_skip.webui.hosts.forge import on_main_thread
from clip_skip.webui.hosts.host_encoder import HostEncoder
from clip_skip.webui.hosts.language_models import NamedEncoder, load_on_device, token_texts

__all__ = ["build_layers_tab", "show"]

NAMED = "T5 / LLM"
"""The text encoder that only a tag with its name reaches."""

TOWER_OF_CHOICE = {TOWER_NAMES["l"]: "l", TOWER_NAMES["g"]: "g", NAMED: NAMED}
ADD_THEME = "(prompt, tower, words, dark) => [prompt, tower, words, Boolean(document.querySelector('.dark'))]"
FROM_TXT2IMG = "() => [gradioApp().querySelector('#txt2img_prompt textarea').value]"
FAILED = Template("That failed; see the console for the reason.")
NO_MODEL = Template("No model is loaded.")
NOTHING_TO_SHOW = Template("There is nothing to show for {model}.")


def build_layers_tab() -> None:
    with gr.Row():
        prompt = gr.Textbox(label="Prompt", lines=3, elem_id="clip_skip_layers_prompt", scale=4)
        with gr.Column():
            tower = gr.Radio(
                [TOWER_NAMES["l"], TOWER_NAMES["g"]],
                value=TOWER_NAMES["l"],
                label="Encoder (SDXL)",
                elem_id="clip_skip_layers_tower",
                visible=False,
            )
            take = gr.Button("Copy prompt from txt2img", elem_id="clip_skip_layers_take")
            label = str(SHOW_LAYERS)  # gradio would call a template
            button = gr.Button(label, variant="primary", elem_id="clip_skip_layers_show")
    sentence = gr.Textbox(label=SUMMARY, interactive=False, elem_id="clip_skip_layers_sentence")
    picture = gr.Image(
        label=LAYERS, show_label=False, type="pil", interactive=False, elem_id="clip_skip_layers_picture"
    )
    compared_words = gr.Textbox(label=WORDS_TO_SHOW, elem_id="clip_skip_layers_words")
    dark = gr.Checkbox(visible=False)  # set by IS_DARK
    listen(take.click, lambda text: text, [prompt], [prompt], FROM_TXT2IMG)
    for event in (button.click, compared_words.submit):
        listen(event, show, [prompt, tower, compared_words, dark], [sentence, picture, tower], ADD_THEME)


def show(prompt: str, tower: str, compared_words: str, dark: bool) -> tuple[str, Image | None, dict[str, Any]]:
    """The findings in sentences, and the picture; only a sentence if there is nothing to show.

    compared_words: words of the prompt whose curves are drawn; "" for those that change most

    The choice of an encoder is visible if there are two.
    """
    with queue_lock:
        result = on_main_thread(measure_or_say, prompt, TOWER_OF_CHOICE.get(tower, "l"))
    model_encoders = describe_model(shared.sd_model)
    choices = [TOWER_NAMES[host.encoder.tower] for host in model_encoders.hosts] + [NAMED] * bool(
        model_encoders.named_encoders
    )
    several = gr.update(choices=choices or list(TOWER_OF_CHOICE), visible=len(choices) > 1)
    if not isinstance(result, Layers):
        return translate(result or FAILED), None, several
    try:
        tokens = result.find_tokens(compared_words)
    except LayersError as error:
        return translate(error.message), None, several
    from clip_skip.layers.figure import draw_layers  # not at the top: matplotlib would slow down the host's start

    picture = draw_layers(result, dark, translate, tokens)
    return "\n".join(map(translate, result.sentences())), picture, several


def measure_or_say(prompt: str, tower: str) -> Layers | Message | str:
    """The layers, or why there are none, as a return value: exceptions on Forge's thread are lost."""
    try:
        return measure_prompt_on_page(prompt, tower)
    except MessageError as error:
        return error.message


def measure_prompt_on_page(prompt: str, tower: str) -> Layers:
    """The layers for the first chunk of `prompt`, from one pass of the host's own encoding.

    MessageError says why there is nothing to measure.
    """
    if hasattr(sd_models, "forge_model_reload"):
        sd_models.forge_model_reload()
    model = shared.sd_model
    if model is None:
        raise MessageError(NO_MODEL)
    model_encoders = describe_model(model)
    hosts = {host.encoder.tower: host for host in model_encoders.hosts}
    if model_encoders.named_encoders and (tower == NAMED or not hosts):
        return measure_named(model, model_encoders.named_encoders[0], prompt)
    if not hosts:
        raise MessageError(NOTHING_TO_SHOW(model=model_encoders.name))
    host = hosts.get(tower) or next(iter(hosts.values()))
    text, parts, changes = first_text(prompt)
    chunks = host.module.tokenize_line(text)[0]
    texts = prompt_parser.SdConditioning([text])
    with torch.no_grad(), devices.autocast():
        return measure_layers(
            host.encoder,
            lambda: model.get_learned_conditioning(texts),
            token_labels(words(host, chunks[0])),
            notes=notes_on_prompt(len(chunks), parts, changes, not text.strip()),
            unrun=host.unrun,
        )


def measure_named(model: Model, encoder: NamedEncoder, prompt: str) -> Layers:
    """The same for a text encoder other than CLIP. Its engine is called directly, because the model's own function
    remembers its input for the next picture."""
    load_on_device(model)
    text, parts, changes = first_text(prompt)
    texts = prompt_parser.SdConditioning([text])
    with torch.no_grad(), devices.autocast():
        return measure_layers(
            replace(encoder.encoder, incomplete=0),
            lambda: encoder.engine(texts),
            token_texts(encoder.engine, texts),
            notes=notes_on_prompt(1, parts, changes, not text.strip()),
        )


def first_text(prompt: str) -> tuple[str, int, bool]:
    """The text of `prompt` for the first step, the number of sub-prompts, and whether it changes later."""
    text = extra_networks.parse_prompt(tags.strip(prompt))[0]
    texts = split_sub_prompts(text)
    schedule = prompt_parser.get_learned_conditioning_prompt_schedules(texts[:1], 100)[0]
    return schedule[0][1], len(texts), len({text for _, text in schedule}) > 1


def words(host: HostEncoder, chunk: Chunk) -> list[str]:
    """The vocabulary's entry for each token of `chunk` up to its end; an embedding's tokens have its name."""
    length = chunk.tokens.index(host.module.id_end) + 1
    labels = [token_text(host.module, token) for token in chunk.tokens[:length]]
    for offset, embedding in chunk.fixes:
        first = offset + 1
        vectors = range(first, min(first + int(embedding.vectors), length - 1))
        labels[first : first + len(vectors)] = [f"{embedding.name}</w>"] * len(vectors)
    return labels


def token_text(module: EncoderModule, token: int) -> str:
    tokenizer = getattr(module, "tokenizer", None)
    if tokenizer is not None and hasattr(tokenizer, "convert_ids_to_tokens"):
        return str(tokenizer.convert_ids_to_tokens(int(token)))
    from open_clip.tokenizer import _tokenizer

    return str(_tokenizer.decoder[int(token)])
