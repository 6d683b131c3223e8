"""The hashes of checkpoints: which are known, and which files are read for one."""

import hashlib
import json
import os

import pytest

from clip_skip.standalone.pictures import checkpoint, hashes, infotext

from .helpers import identify_infotext


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CLIP_SKIP_CACHE", str(tmp_path / "cache"))
    place = tmp_path / "webui" / "models" / "Stable-diffusion"
    place.mkdir(parents=True)
    for name in "abc":
        (place / f"{name}.safetensors").write_bytes(name.encode() * 2_000_000)
    return place


@pytest.fixture
def read(monkeypatch):
    """The names of the files that are read in full."""
    names, real = [], hashes.kept_hash
    monkeypatch.setattr(hashes, "kept_hash", lambda path: names.append(path.name) or real(path))
    return names


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def find(folder, model, digest, each=list):
    text = identify_infotext(f"x\nSteps: 1, Seed: 1, Size: 8x8, Model hash: {digest}, Model: {model}")
    return checkpoint.find_checkpoint(text, sorted(folder.glob("*.safetensors")), "here", each)


def not_there(folder):
    with pytest.raises(infotext.InfotextError):
        find(folder, "z", "0123456789")


def test_a_picture_of_a_checkpoint_that_is_not_there_reads_each_file_once(folder, read):
    not_there(folder)
    assert sorted(read) == ["a.safetensors", "b.safetensors", "c.safetensors"]
    hashes._read_json.cache_clear()  # as in another process
    not_there(folder)
    assert len(read) == 3
    changed = folder / "b.safetensors"
    changed.write_bytes(b"other")
    not_there(folder)
    assert read[3:] == ["b.safetensors"]


def test_progress_is_shown_of_what_is_read(folder):
    shown = []
    find(folder, "z", sha256(folder / "c.safetensors")[:10], lambda files: shown.append(len(files)) or files)
    assert shown == [3]


def test_names_decide_first_and_known_hashes_before_unknown_ones(folder, read):
    assert find(folder, "b", sha256(folder / "b.safetensors")[:10]) == (folder / "b.safetensors", None)
    assert read == ["b.safetensors"]
    assert find(folder, "b", "0123456789")[0].name == "b.safetensors"
    assert read == ["b.safetensors"]
    assert find(folder, "renamed", sha256(folder / "b.safetensors")[:10])[0].name == "b.safetensors"
    assert read == ["b.safetensors"]


def test_the_old_hash_needs_a_small_part_of_each_file(folder, read):
    begin, length = hashes.OLD_HASH
    old = hashlib.sha256(b"c" * length).hexdigest()[:8]
    assert begin + length < 2_000_000 and find(folder, "z", old)[0].name == "c.safetensors"
    assert read == []


@pytest.mark.parametrize("separator", ["/", "\\"])
def test_what_a_webui_has_computed_is_not_computed_again(folder, read, separator, monkeypatch):
    monkeypatch.setattr(hashes.os, "sep", separator)
    below = folder / "sub"
    below.mkdir()
    files = [path.rename(below / path.name) for path in sorted(folder.glob("*.safetensors"))]
    entries = {
        f"checkpoint/sub{separator}{path.name}": {"mtime": os.path.getmtime(path), "sha256": sha256(path)}
        for path in files
    }
    (folder.parents[1] / "cache.json").write_text(json.dumps({"hashes": entries}), encoding="utf-8")
    assert find(below, "z", sha256(files[2])[:10])[0].name == "c.safetensors"
    not_there(below)
    assert read == []
    os.utime(files[0], (2**31, 2**31))  # it is another file since
    not_there(below)
    assert read == ["a.safetensors"]


@pytest.mark.parametrize("name", ["{}.safetensors.sha256", "{}.sha256"])
def test_files_of_a_hash_beside_a_checkpoint(folder, read, name):
    for path in folder.glob("*.safetensors"):
        (folder / name.format(path.stem)).write_text(f"{sha256(path).upper()}  {path.name}\n", encoding="utf-8")
    not_there(folder)
    assert read == []
    stale = folder / "a.safetensors"
    os.utime(stale, (2**31, 2**31))
    not_there(folder)
    assert read == ["a.safetensors"]


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"[" * 100_000, b'{"hashes": 1}', b'{"hashes": {"checkpoint/a.safetensors": 5}}', b"[1]"]
)
def test_a_broken_cache_of_a_webui_or_of_ours_is_nothing(folder, read, content, tmp_path):
    (folder.parents[1] / "cache.json").write_bytes(content)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "hashes.json").write_bytes(content)
    not_there(folder)
    assert len(read) == 3


def test_a_cache_that_cannot_be_written_is_no_fault(folder, read, tmp_path):
    (tmp_path / "cache").write_bytes(b"a file in the place of the folder")
    not_there(folder)
    assert len(read) == 3
