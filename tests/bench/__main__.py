"""`python tests/bench`: see README.md, "Benchmark"."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench.command import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
