"""Runs the tests of this folder against a WebUI that is installed: makes it ready, starts it twice, with this extension
and without, and stops both at the end.

    python dev.py run python -m tests.webui.run WEBUI [arguments for pytest]

WEBUI is the folder of AUTOMATIC1111's WebUI, installed by its own scripts. The bundled demo model, small checkpoints of
random weights and this extension are put into it, none of them over a file that is there. Everything listens on
127.0.0.1 alone. Its Python is WEBUI/venv's, or the one in the environment variable PYTHON.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clip_skip.standalone.demo.model import write_demo_model
from tests.webui import checkpoints

ROOT = Path(__file__).parents[2]
ON_A_CPU = "--use-cpu all --no-half --skip-torch-cuda-test"
NO_DOWNLOADS = "--skip-version-check --do-not-download-clip --no-download-sd-model"
EXTENSIONS = {"clip-skip": ROOT, "clip-skip-faults": ROOT / "tests" / "webui" / "faults"}
SETTINGS = '{"show_progress_type": "Approx cheap"}'
"""The usual live preview fetches a file for SDXL."""

PATIENCE = 600
"""Seconds for a WebUI to start."""


def add_files(webui: Path, python: str) -> dict[str, str]:
    """Puts models and extensions into the folder `webui`; returns the environment variables that name the models."""
    models = webui / "models"
    write_demo_model(models / "Stable-diffusion")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        checkpoints.main(str(models))
    find = "import open_clip, pathlib; print(pathlib.Path(open_clip.__file__).with_name('model_configs'))"
    configs = subprocess.run([python, "-c", find], capture_output=True, text=True, check=True).stdout.split()[-1]
    for config in (models / "Stable-diffusion").glob("*.json"):
        shutil.copy(config, configs)
    for name, folder in EXTENSIONS.items():
        link = webui / "extensions" / name
        if not link.exists():
            link.symlink_to(folder, target_is_directory=True)
    return dict(re.findall(r"(CLIP_SKIP_\w+)=(\S+)", printed.getvalue()))


@contextmanager
def server(webui: Path, python: str, name: str, *arguments: str) -> Iterator[str]:
    """The address of a WebUI that has started, and is stopped when the block ends. Its log is `name`.log there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = webui / f"{name}.log"
    (webui / f"{name}-config.json").write_text(SETTINGS)
    settings = (f"--ui-settings-file={name}-config.json", f"--ui-config-file={name}-ui.json")
    flags = (*ON_A_CPU.split(), *NO_DOWNLOADS.split(), "--api", "--port", str(port))
    command = [python, "launch.py", *flags, *settings, *arguments]
    environment = {**os.environ, "GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_ANALYTICS_ENABLED": "False"}
    environment.pop("COMMANDLINE_ARGS", None)
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=webui, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        until = time.monotonic() + PATIENCE
        while "Startup time" not in log.read_text(errors="replace"):  # v1.10.1 dies of a request before that
            if process.poll() is not None or time.monotonic() > until:
                sys.exit(f"The WebUI did not start; the end of {log}:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(1)
        print(f"{name}: http://127.0.0.1:{port}", flush=True)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def main() -> int:
    if len(sys.argv) < 2 or not (webui := Path(sys.argv[1]).resolve()).joinpath("launch.py").is_file():
        print(__doc__)
        return 2
    own = webui / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    python = os.environ.get("PYTHON") or (str(own) if own.exists() else sys.executable)
    names = add_files(webui, python)
    extra = os.environ.get("WEBUI_ARGUMENTS", "").split()
    with (
        server(webui, python, "with-clip-skip", *extra) as with_it,
        server(webui, python, "without", "--disable-extra-extensions", *extra) as without,
    ):
        variables = {**os.environ, **names, "CLIP_SKIP_WEBUI_URL": with_it, "CLIP_SKIP_PLAIN_URL": without}
        variables["CLIP_SKIP_CONFIG"] = str(webui / "with-clip-skip-config.json")
        variables |= {"CLIP_SKIP_WEBUI_FOLDER": str(webui), "CLIP_SKIP_WEBUI_PYTHON": python}
        tests = sys.argv[2:] or ["tests/webui"]
        return subprocess.run([sys.executable, "-m", "pytest", *tests], cwd=ROOT, env=variables).returncode


if __name__ == "__main__":
    sys.exit(main())
