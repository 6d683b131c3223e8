"""Coverage-guided fuzzing of every reader that test_attack.py knows, by hand: each may raise its own errors alone.

    pip install atheris                      for Linux and macOS; not part of the environment
    python dev.py run python -m tests.fuzz [SECONDS]

Every fault is printed once, with its input; it becomes an example in test_attack.py.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import traceback
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["clip_skip"]):
    from tests import test_attack as attack

LONGEST = 4096  # bytes
TEXT_READERS = list(attack.READERS.values())
FILE_READERS = [(suffix, *reader) for suffix, readers in attack.FILES.items() for reader in readers]
FOLDER = tempfile.TemporaryDirectory()
faults: set[str] = set()


def read_once(data: bytes) -> None:
    number, content = int.from_bytes(data[:1], "little"), data[1:]
    if number < 128:
        try:
            text = content.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return
        reader = TEXT_READERS[number % len(TEXT_READERS)]
        with contextlib.suppress(*reader.errors):
            reader.read(text)
        return
    suffix, read, errors = FILE_READERS[number % len(FILE_READERS)]
    path = Path(FOLDER.name) / f"file{suffix}"
    path.write_bytes(attack.as_safetensors(content) if suffix == ".safetensors" and number % 2 else content)
    with contextlib.suppress(*errors):
        read(path)


def read_and_report(data: bytes) -> None:
    try:
        read_once(data)
    except Exception as error:
        report(data, error)


def report(data: bytes, error: Exception) -> None:
    where = traceback.extract_tb(error.__traceback__)[-1]
    name = f"{type(error).__name__} at {where.filename}:{where.lineno}"
    if name not in faults:
        faults.add(name)
        print(f"\nFAULT {len(faults)}: {name}\n{data!r}\n{''.join(traceback.format_exception(error))}", flush=True)


def main() -> None:
    seconds = sys.argv[1] if len(sys.argv) > 1 else "3600"
    atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-timeout=60"], read_and_report)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
