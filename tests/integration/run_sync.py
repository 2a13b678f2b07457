"""One sync in a process of its own, for tests that kill it: `python -m tests.integration.run_sync HOME NOW`.

Settings come from the environment.
"""

import os
import sys
from datetime import datetime
from pathlib import Path

from tests.support.clock import FixedDay
from tests.support.house import House


def main() -> None:
    """Pull and refresh."""
    home, now = sys.argv[1:]
    House(Path(home), None, environ=dict(os.environ), clock=FixedDay(datetime.fromisoformat(now))).sync()


if __name__ == "__main__":
    main()
