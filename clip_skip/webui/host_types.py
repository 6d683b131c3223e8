"""Types of the hosts' objects, as far as they are used. The hosts themselves are mostly untyped.

Attributes that only some hosts or some generations have are read with `getattr` and a default, and are not here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor, nn

if TYPE_CHECKING:
    from clip_skip.webui.state import State

__all__ = [
    "CheckpointInfo",
    "Chunk",
    "EncoderModule",
    "Engine",
    "ForgeModel",
    "Model",
    "Options",
    "Processing",
    "Script",
]


class CheckpointInfo(Protocol):
    name: str
    filename: str
    model_name: str


class Model(Protocol):
    """The loaded model: an ldm or sgm model, or a diffusion engine of the Forge family."""

    sd_checkpoint_info: CheckpointInfo | None
    get_learned_conditioning: Callable[..., object]


class Unet(Protocol):
    """The Forge family's patcher of a UNet."""

    def clone(self) -> Unet: ...
    def set_model_sampler_post_cfg_function(self, function: Callable[[dict[str, Any]], Tensor]) -> None: ...


class ForgeObjects(Protocol):
    unet: Unet


class ForgeModel(Model, Protocol):
    """A diffusion engine of the Forge family, or a model with its UNet."""

    forge_objects: ForgeObjects


class Wrapped(Protocol):
    """The model that AUTOMATIC1111 and reForge wrap: transformers' or open_clip's."""

    transformer: nn.Module
    model: nn.Module


class EncoderModule(Protocol):
    """A host's wrapper of a text encoder, or its engine.

    A result of `encode_with_transformers`, (B, L, D), may have the full tower's vector (B, D) as attribute `pooled`.
    """

    wrapped: Wrapped
    id_end: int
    encode_with_transformers: Callable[..., Tensor]
    tokenize_line: Callable[[str], tuple[Sequence[Chunk], int]]


class Engine(EncoderModule, Protocol):
    """A text processing engine of the Forge family."""

    embedding_key: str
    text_encoder: Wrapped
    minimal_clip_skip: int
    final_layer_norm: bool
    return_pooled: bool


class Embedding(Protocol):
    """A textual inversion."""

    name: str
    vectors: int


class Chunk(Protocol):
    """75 tokens of a prompt between start and end; `fixes` are offsets and embeddings."""

    tokens: list[int]
    fixes: Sequence[tuple[int, Embedding]]


class Denoiser(Protocol):
    combine_denoised: Callable[..., Tensor]


class Sampler(Protocol):
    model_wrap_cfg: Denoiser


class Script(Protocol):
    is_img2img: bool
    args_from: int
    args_to: int

    def title(self) -> str: ...
    def elem_id(self, item_id: str) -> str: ...


class Runner(Protocol):
    """All scripts of a tab."""

    alwayson_scripts: list[Script]
    callback_map: dict[str, object]
    inputs: list[object]


class Options(Protocol):
    """The host's settings."""

    data: dict[str, Any]
    data_labels: dict[str, Any]
    quicksettings_list: list[str]

    def get_default(self, key: str) -> object: ...


class Processing(Protocol):
    """One generation: its settings, and, once it has begun, its texts and seeds.

    all_...:  of all pictures; without it, of the current batch, which is number `iteration`
    main_...: the user's own text
    hr_...:   of the hires pass, where `enable_hr` is set
    """

    prompt: str
    negative_prompt: str
    main_prompt: str
    main_negative_prompt: str
    prompts: list[str]
    negative_prompts: list[str]
    all_prompts: list[str]
    all_negative_prompts: list[str]
    all_hr_prompts: list[str]
    all_hr_negative_prompts: list[str]
    seed: int
    subseed: int
    subseed_strength: float
    all_seeds: list[int]
    all_subseeds: list[int]
    batch_size: int
    n_iter: int
    iteration: int
    batch_index: int
    width: int
    height: int
    steps: int
    hr_second_pass_steps: int
    cfg_scale: float
    sampler_name: str
    sampler: Sampler
    sd_model: Model
    scripts: Runner
    script_args: Sequence[object]
    extra_generation_params: dict[str, Any]
    comments: dict[str, object]
    outpath_samples: str
    outpath_grids: str
    do_not_save_grid: bool
    do_not_save_samples: bool
    styles: Sequence[str]
    init: Callable[..., None]
    sample: Callable[..., object]
    setup_prompts: Callable[[], None]
    comment: Callable[[str], None]
    clip_skip_state: State
