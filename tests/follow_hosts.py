"""Hosts of checkpoints, on the stand-ins: how AUTOMATIC1111 v1.10.1, Forge and Neo load them and take overrides.

In names, in order and in what they restore they follow `modules/sd_models.py`, `modules/processing.py`,
`modules/options.py` and, of the Forge family, `modules/sysinfo.py` and `modules_forge/main_entry.py`.
"""

import sys
from copy import copy
from pathlib import Path
from types import ModuleType, SimpleNamespace

OPTION, CHECKPOINT = "CLIP_stop_at_last_layers", "sd_model_checkpoint"
NAMES = ("two", "three", "none", "other")


class Generation(SimpleNamespace):
    """`p`: with a refiner or a hires checkpoint that is loaded half-way, by name."""

    def __init__(self, overrides=None, refiner=None, restore=True, n_iter=1, between=lambda: None, params=None):
        super().__init__(override_settings=dict(overrides or {}), override_settings_restore_afterwards=restore)
        self.refiner, self.n_iter, self.between = refiner, n_iter, between
        self.extra_generation_params = {}
        self.used, self.infotexts, self.saved = [], [], []
        self.all_prompts, self.batch_size, self.iteration = ["a cow"] * n_iter, 1, 0


class Host:
    """A host with four checkpoints in `folder`; `none` is selected."""

    def __init__(self, folder: Path):
        from modules import infotext_utils, processing, scripts, sd_models, shared

        self.scripts = scripts
        self.folder, self.shared, self.sd_models, self.processing = folder, shared, sd_models, processing
        self.infotext_utils = infotext_utils
        infos = {name: SimpleNamespace(name=name, filename=str(folder / f"{name}.safetensors")) for name in NAMES}
        for info in infos.values():
            Path(info.filename).write_bytes(b"weights")
        sd_models.checkpoint_aliases, sd_models.checkpoints_list = dict(infos), dict(infos)
        shared.opts.data.update({OPTION: 1, CHECKPOINT: "none"})
        self.broken = set()
        self.install_loading()
        processing.process_images_inner = self.process_images_inner
        infotext_utils.get_override_settings = self.get_override_settings
        self.start()

    def start(self):
        """As the extension starts, again on Reload UI."""
        from clip_skip.webui.hosts import loading
        from clip_skip.webui.page.remembering import Remembering

        self.remembering = Remembering()
        self.header = self.remembering.header
        self.xyz_grid = SimpleNamespace(refresh_loading_params_for_xyz_grid=lambda: self.select(self.opts[CHECKPOINT]))
        script = type("Script", (), {"__module__": "xyz_grid.py"})
        self.scripts.scripts_data[:] = [SimpleNamespace(script_class=script, module=self.xyz_grid)]
        undo = [loading.install(self.header), *loading.follow_plots(self.header)]
        self.stop = lambda: [function() for function in undo]
        self.header.settle()

    def path(self, name):
        return str(self.folder / f"{name}.safetensors")

    @property
    def opts(self):
        return self.shared.opts.data

    @property
    def shown(self):
        return self.opts[OPTION]

    @property
    def loaded(self):
        model = self.sd_models.model_data.sd_model
        return model and model.sd_checkpoint_info.name

    def load(self, name):
        if name in self.broken:
            raise OSError("no such file")
        info = self.sd_models.checkpoints_list[name]
        self.sd_models.model_data.sd_model = SimpleNamespace(sd_checkpoint_info=info)

    def make(self, **settings):
        return self.process_images(Generation(**settings))

    def process_images_inner(self, p):
        for iteration in range(p.n_iter):
            p.iteration = iteration
            self.reload_main()
            p.used.append((self.loaded, self.shown))
            clip_skip = self.shown  # of `setup_conds`
            p.between()
            if p.refiner:
                self.load_second(p.refiner)
                p.used.append((self.loaded, self.shown))
                clip_skip = self.shown
            p.infotexts.append(self.infotext(p, clip_skip))
            if getattr(p, "fails", False):
                raise RuntimeError("out of memory")
        return p

    def infotext(self, p, clip_skip):
        params = {"Clip skip": None if clip_skip <= 1 else clip_skip, **p.extra_generation_params}
        called = {
            key: value(p=p, index=0, all_prompts=["a"]) if callable(value) else value for key, value in params.items()
        }
        return {key: str(value) for key, value in called.items() if value is not None}

    def get_override_settings(self, params, *, skip_fields=None):
        found = []
        for key, setting in (("Clip skip", OPTION), ("Model", CHECKPOINT)):
            value = params.get(key)
            value = int(value) if setting == OPTION and value is not None else value
            if value is not None and value != self.opts[setting]:
                found.append((key, setting, value))
        return found

    def paste(self, **params):
        """The overrides that the host makes of an infotext, as a request has them."""
        found = self.infotext_utils.get_override_settings(
            {key.replace("_", " "): value for key, value in params.items()}
        )
        return {setting: value for _, setting, value in found}


class A1111(Host):
    """Loads when another checkpoint is chosen; what was loaded before stays in memory and comes back from there."""

    def install_loading(self):
        self.sd_models.reload_model_weights = self.reload_model_weights
        self.load("none")

    def reload_model_weights(self, info=None):
        name = info or self.opts[CHECKPOINT]
        if name == self.loaded:
            return
        before = self.loaded
        try:
            self.load(name)
        except OSError:
            self.load(before)
            raise

    def choose(self, name):
        """On the page or by the API: `opts.set`, whose callback loads, and puts the option back where that fails."""
        before, self.opts[CHECKPOINT] = self.opts[CHECKPOINT], name
        try:
            self.sd_models.reload_model_weights()
        except OSError:
            self.opts[CHECKPOINT] = before

    def reload_main(self):
        self.sd_models.reload_model_weights()

    def load_second(self, name):
        self.sd_models.reload_model_weights(info=name)

    def plot(self, names):
        """An X/Y/Z plot over checkpoints: the cells share their overrides."""
        p = Generation()
        for name in names:
            cell = copy(p)
            cell.override_settings[CHECKPOINT] = name
            self.process_images(cell)
        self.sd_models.reload_model_weights()
        return p

    def process_images(self, p):
        self.header.prepare(p)
        stored = {key: self.opts[key] for key in p.override_settings if key in self.opts}
        try:
            if p.override_settings.get(CHECKPOINT) not in self.sd_models.checkpoint_aliases:
                p.override_settings.pop(CHECKPOINT, None)
                self.sd_models.reload_model_weights()
            for key, value in p.override_settings.items():
                self.opts[key] = value
                if key == CHECKPOINT:
                    self.sd_models.reload_model_weights()
            return self.processing.process_images_inner(p)
        finally:
            if p.override_settings_restore_afterwards:
                self.opts.update(stored)


class Forge(Host):
    """Selects when another checkpoint is chosen, and loads with the next picture."""

    def install_loading(self):
        self.entry = ModuleType("modules_forge.main_entry")
        sys.modules["modules_forge"] = ModuleType("modules_forge")
        sys.modules["modules_forge"].main_entry = sys.modules["modules_forge.main_entry"] = self.entry
        self.entry.refresh_model_loading_parameters = self.refresh_model_loading_parameters
        self.sd_models.reload_model_weights = lambda sd_model=None, info=None: None  # in Forge f2.0.1, not in Neo
        self.sd_models.model_data.forge_loading_parameters = {}
        self.refresh_model_loading_parameters()

    def refresh_model_loading_parameters(self, *, refresh=True):
        if not refresh:
            return
        self.select(self.opts[CHECKPOINT])

    def checkpoint_change(self, name, refresh=True):
        if name == self.opts[CHECKPOINT]:
            return False
        self.opts[CHECKPOINT] = name
        self.entry.refresh_model_loading_parameters(refresh=refresh)
        return True

    def choose(self, name):
        self.checkpoint_change(name)

    def reload_main(self):
        self.load(self.sd_models.model_data.forge_loading_parameters["checkpoint_info"].name)

    def load_second(self, name):
        """The refiner: selected and loaded, and the former one selected again before its texts are encoded."""
        before = self.opts[CHECKPOINT]
        self.checkpoint_change(name)
        self.reload_main()
        self.checkpoint_change(before)

    def set_config(self, settings):
        changed = False
        for key, value in settings.items():
            if key == CHECKPOINT:
                changed = self.checkpoint_change(value, refresh=False) or changed
            else:
                self.opts[key] = value
        if changed:
            self.entry.refresh_model_loading_parameters()

    def process_images(self, p):
        self.header.prepare(p)
        stored = {key: self.opts[key] for key in p.override_settings if key in self.opts}
        try:
            if p.override_settings.get(CHECKPOINT) not in self.sd_models.checkpoint_aliases:
                p.override_settings.pop(CHECKPOINT, None)
            self.set_config(p.override_settings)
            self.reload_main()
            return self.processing.process_images_inner(p)
        finally:
            if p.override_settings_restore_afterwards:
                self.set_config(stored)

    def plot(self, names):
        """An X/Y/Z plot over checkpoints: `apply_checkpoint`, and what follows the last cell, in `scripts/xyz_grid.py`.

        Both select without `refresh_model_loading_parameters`.
        """
        p = Generation()
        for name in names:
            cell = copy(p)
            self.apply_checkpoint(cell, name)
            self.process_images(cell)
        self.sd_models.reload_model_weights()
        self.xyz_grid.refresh_loading_params_for_xyz_grid()
        return p

    def apply_checkpoint(self, p, name):
        """The plot's for a cell, which shares its overrides with the others."""
        if name == p.override_settings.get(CHECKPOINT):
            return
        p.override_settings[CHECKPOINT] = name
        before, self.opts[CHECKPOINT] = self.opts[CHECKPOINT], name
        self.xyz_grid.refresh_loading_params_for_xyz_grid()
        self.opts[CHECKPOINT] = before

    def select(self, name):
        info = self.sd_models.checkpoints_list[name]
        self.sd_models.model_data.forge_loading_parameters = {"checkpoint_info": info}


class Neo(Forge):
    """Its plot selects a checkpoint, and overrides nothing."""

    def apply_checkpoint(self, p, name):
        before, self.opts[CHECKPOINT] = self.opts[CHECKPOINT], name
        self.xyz_grid.refresh_loading_params_for_xyz_grid()
        self.opts[CHECKPOINT] = before
