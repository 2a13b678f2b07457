"""What it costs to publish a large warehouse, on the file systems that there are, beside copying the same file.

    python -m tests.benchmarks.publish [FOLDER ...] [--mb 1000] [--page]

A FOLDER per file system (default: a temporary one). One that clones files can be had in a file, as root:

    truncate -s 8G disk.img && mkfs.xfs -q disk.img && mkdir disk && mount -o loop disk.img disk

Published is a work file of `--mb` megabytes, a fifth of it the loader's own rows, which a copy leaves out. Then 1,000 rows are put in the
place of others, and it is published again: how much of the file that writes. `--page` puts it into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pipelines.warehouse.connect import Connection, open_work
from pipelines.warehouse.ddl import create_all
from pipelines.warehouse.publish import checkpoint, publish
from tests.benchmarks.measure import measured_by
from tests.benchmarks.page import show

_ROW_BYTES = 64
"""Of each row in the file: 128 hexadecimal digits."""

_FILL = """
CREATE OR REPLACE TABLE {table} AS
SELECT range AS number, md5(range || 'a') || md5(range || 'b') || md5(range || 'c') || md5(range || 'd') AS text FROM range({rows})"""

Cost = dict[str, float]
"""Wall and CPU seconds; bytes that this process had written, and by which less is free afterwards."""


def cost(folder: Path, step: Callable[[], object]) -> Cost:
    """Take a step once."""
    os.sync()
    free, written = _free(folder), _written()
    wall, cpu = time.perf_counter(), time.process_time()
    step()
    spent = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu, "written": _written() - written}
    os.sync()
    return {**spent, "taken": free - _free(folder)}


def fill(work: Path, megabytes: int) -> Connection:
    """A work file of about so many megabytes."""
    connection = open_work(work)
    create_all(connection)
    rows = megabytes * 1_000_000 // _ROW_BYTES
    for table, share in (("core.filling", 0.8), ("stage.filling", 0.2)):
        connection.execute(_FILL.format(table=table, rows=int(rows * share)))
    return connection


def change(work: Path) -> None:
    """Put 1,000 rows in the place of others, and write that into the file."""
    connection = open_work(work)
    connection.execute(
        "CREATE TEMP TABLE touched AS SELECT number, text || '!' AS text FROM core.filling"
        " WHERE number BETWEEN (SELECT max(number) // 2 FROM core.filling) AND (SELECT max(number) // 2 + 999 FROM core.filling)"
    )
    connection.execute("DELETE FROM core.filling WHERE number IN (SELECT number FROM touched)")
    connection.execute("INSERT INTO core.filling FROM touched")
    checkpoint(connection, work)


def measure(folder: Path, megabytes: int) -> dict[str, object]:
    """All of it below a folder, which is left as it was."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        home = Path(name)
        work, published, copy = home / "work.duckdb", home / "warehouse.duckdb", home / "copy.duckdb"
        checkpoint(fill(work, megabytes), work)
        _warm_up(home, work)

        def copied() -> None:
            shutil.copyfile(work, copy)
            with copy.open("rb") as whole:
                os.fsync(whole.fileno())

        steps = {
            "copy of the file (`shutil.copyfile`, fsync)": copied,
            "publish": lambda: publish(work, published, 0o644),
            "1,000 rows changed, written into the work file": lambda: change(work),
            "publish again": lambda: publish(work, published, 0o644),
        }
        found: dict[str, object] = {"file_system": _file_system(home), "bytes": work.stat().st_size}
        return {**found, "costs": {what: cost(home, step) for what, step in steps.items()}}


def _warm_up(home: Path, work: Path) -> None:
    """Let the system find the memory for as many copies as will be there at once: on a virtual machine that takes longer than to copy."""
    copies = [home / f"{number}.copy" for number in range(3)]
    for copy in copies:
        shutil.copyfile(work, copy)
    for copy in copies:
        copy.unlink()


def _free(folder: Path) -> int:
    there = os.statvfs(folder)
    return there.f_bfree * there.f_frsize


def _written() -> int:
    """Bytes of pages that this process has changed, as they go to the disk: what is cloned is not among them."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


def _file_system(folder: Path) -> str:
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    there = [(len(place), kind) for _, place, kind, *_ in mounts if folder.resolve().is_relative_to(place)]
    return max(there)[1]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.publish", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folders", type=Path, nargs="*", metavar="FOLDER", default=[Path(tempfile.gettempdir())])
    parser.add_argument("--mb", type=int, default=1_000)
    parser.add_argument("--page", action="store_true")
    given = parser.parse_args()
    places = [measure(folder, given.mb) for folder in given.folders]
    shown = " ".join(f"({place['file_system']})" for place in places)
    stamp = measured_by(f"python -m tests.benchmarks.publish {shown} --mb {given.mb}", ["duckdb"])
    show("publish", {**stamp, "places": places}, is_kept=given.page)


if __name__ == "__main__":
    main()
