"""Run by the WebUI at every start. The extension needs nothing that a WebUI does not already have, so there is nothing
to install.

    python install.py --undo PATH/TO/config.json

takes out of the WebUI's saved settings what the extension has added there. Stop the WebUI first: it saves them itself.
"""

import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    if len(arguments) != 2 or arguments[0] != "--undo":
        return 0  # the WebUI's own call
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from clip_skip.webui.saved_settings import undo

    try:
        changed = undo(Path(arguments[1]))
    except (OSError, ValueError) as error:
        print(f"{arguments[1]}: {error}", file=sys.stderr)
        return 1
    print("\n".join(["Removed:", *changed] if changed else ["No Clip Skip settings found."]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
