"""`resulthouse sync` as it is called, and what it cost: CPU of the process from its start, and what of it was publishing.

    python -m tests.benchmarks.sync_once [OPTIONS OF resulthouse sync]

Prints JSON. Settings come from the environment. Checkly's rate limit, which would have a sync wait most of its time, does not hold.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace

from assets import cli
from pipelines.flows import refresh
from pipelines.providers import checkly
from tests.benchmarks.extraction import NOT_BINDING
from tests.benchmarks.measure import Stopwatch

PUBLISHING = ("checkpoint", "publish")


def main() -> None:
    """The command."""
    checkly.PROVIDER = replace(checkly.PROVIDER, rate_limit=NOT_BINDING)
    watch = Stopwatch()
    for name in PUBLISHING:
        watch.watch(refresh, name, "publish")
    cli.app(["sync", "--json", *sys.argv[1:]], standalone_mode=False)
    published = watch.spent["publish"]
    sys.stderr.write(json.dumps({"sync": time.process_time() - published, "publish": published}) + "\n")


if __name__ == "__main__":
    main()
