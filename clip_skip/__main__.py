"""`python -m clip_skip`: the `clip-skip` command."""

import sys

from clip_skip.standalone.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
