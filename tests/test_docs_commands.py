"""The commands in README.md and docs/: each is one that its reader can type, and those that need no file or machine of
the reader's own are run."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from clip_skip.standalone.cli import main as command_line
from clip_skip.standalone.demo.model import write_demo_model
from tests.test_docs import DOCUMENTS

AS_DEV_PY = {
    ("python", "dev.py", "demo"): ["sweep"],
    ("python", "dev.py", "app"): ["app"],
    ("python", "dev.py", "run", "clip-skip"): [],
    ("clip-skip",): [],
}
"""How a line of the documents begins, and the arguments of `clip-skip` that this stands for."""

QUICK = {
    "sweep": ["--steps", "1", "--skips", "1,2", "--cfg", "7", "--size", "64"],
    "study": ["--steps", "1", "--skips", "1,2", "--seeds", "1"],
}
"""The last of an option is the one that counts."""


def blocks(text):
    """The blocks of code, each line with what follows a backslash at its end."""
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield block.replace("\\\n", " ")


def commands(text):
    """The arguments of `clip-skip` in each command, of the blocks of code and of the sentences."""
    inline = (one.replace("\n", " ") for one in re.findall(r"(?<!`)`((?:python|clip-skip) [^`]+)`(?!`)", text))
    with_arguments = (one for one in inline if not re.fullmatch(r"clip-skip \S+", one))  # else it names the command
    for line in (*"\n".join(blocks(text)).splitlines(), *with_arguments):
        words = shlex.split(line, comments=True) if re.match("python|clip-skip", line) else []
        for start, arguments in AS_DEV_PY.items():
            if tuple(words[: len(start)]) == start and [*arguments, *words[len(start) :]]:
                yield [*arguments, *words[len(start) :]]


COMMANDS = {tuple(arguments): document for document in DOCUMENTS for arguments in commands(document.read_text("utf8"))}


def test_there_are_commands_of_every_kind():
    assert {arguments[0] for arguments in COMMANDS} >= {"sweep", "study", "layers", "inspect", "app", "demo-model"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.name)
def test_a_block_says_what_a_newcomer_can_type(document):
    """`clip-skip` alone is there only where the block installs it, from this folder: it is on no package index."""
    text = document.read_text("utf8")
    for block in blocks(text):
        assert not re.search(r"^clip-skip", block, re.MULTILINE) or 'pip install ".[' in block, block
    assert not re.search(r"pip install \S*clip-skip", text)


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_command_is_understood(arguments, monkeypatch):
    """Its options are the command's, with values that they take."""
    imported = command_line.importlib.import_module
    ran = []

    def without_running(name):
        module = imported(name)
        monkeypatch.setattr(module, "run", lambda parsed: ran.append(parsed) or 0)
        return module

    monkeypatch.setattr(command_line.importlib, "import_module", without_running)
    assert command_line.main(arguments) == 0
    assert ran


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of somebody who has the files that the documents name."""
    folder = tmp_path_factory.mktemp("newcomer")
    models = folder / "models" / "Stable-diffusion"
    (folder / "PATH" / "TO" / "models" / "Stable-diffusion").mkdir(parents=True)
    (folder / "DIR").mkdir()
    model = Path(write_demo_model(models))
    for name in ("FILE", "a", "b"):
        for file in models.glob(f"{model.stem}.*"):
            shutil.copy(file, folder / (name + file.suffix))
    save_file({"lora_te_text_model_encoder_layers_11_mlp_fc1.alpha": np.ones(())}, folder / "LORA.safetensors")
    (folder / "prompts.txt").write_text("a red circle on a white background\n", "utf8")
    (folder / "study.toml").write_text(
        'models = ["FILE.safetensors"]\nprompts = "prompts.txt"\nsize = 128\nscore = ["right"]', "utf8"
    )
    return folder


STANDS_FOR = dict.fromkeys(("FILE", "文件", "檔案", "파일", "ファイル"), "FILE.safetensors")

NOT_HERE = re.compile(r"ray|^app|ViT-L-14|\||picture\.png|PICTURE")
"""Commands that need a cluster or a file of the reader's own; a page that stays open; a choice of files."""

RUN = [arguments for arguments in COMMANDS if arguments[1:] and not NOT_HERE.search(" ".join(arguments))]


def test_most_commands_are_run():
    assert len(RUN) >= len(COMMANDS) / 2, [" ".join(arguments) for arguments in COMMANDS if arguments not in RUN]


@pytest.mark.parametrize("arguments", [("sweep",), *RUN], ids=" ".join)
def test_a_command_does_its_work(arguments, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    words = [STANDS_FOR.get(word, word) for word in arguments]
    assert command_line.main([*words, *QUICK.get(arguments[0], [])]) == 0, capsys.readouterr().err


def test_a_picture_is_read_and_made_again_as_the_documents_say(folder, monkeypatch, capsys):
    """The two commands that need a picture, with one that the demo made."""
    monkeypatch.chdir(folder)
    assert command_line.main(["sweep", "--out", "demo", *QUICK["sweep"]]) == 0
    shutil.copy(next(Path("demo").glob("cells/*.png")), "picture.png")
    for arguments in COMMANDS:
        if "picture.png" in arguments:
            assert command_line.main([*arguments, *QUICK.get(arguments[0], [])]) == 0, capsys.readouterr().err
