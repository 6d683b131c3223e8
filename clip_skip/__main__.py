"""`python -m clip_skip`: the `clip-skip` command."""

import sys

if __name__ == "__main__":
    try:
        from clip_skip.standalone.cli.main import main
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(main())
