"""The bound on what DuckDB may hold while a warehouse is written: it holds, it is lifted where it must be, and nothing of it is left."""

from pathlib import Path

from pipelines.warehouse import load
from pipelines.warehouse.connect import Connection, memory, open_work

MUCH = "CREATE OR REPLACE TABLE much AS SELECT range AS number, md5(range::VARCHAR) AS text FROM range(1_000_000)"


def limit(connection: Connection) -> str:
    row = connection.execute("SELECT current_setting('memory_limit')").fetchone()
    assert row is not None
    return str(row[0])


def test_a_step_that_needs_more_than_the_bounds_is_taken_again_with_all_there_is() -> None:
    connection = memory()
    connection.execute("SET temp_directory = ''")  # nothing can be put on disk
    limits = []

    def step() -> None:
        limits.append(limit(connection))
        connection.execute(MUCH)

    load.within_memory(connection, step, (20, 30))
    assert limits == ["19.0 MiB", "28.6 MiB", limit(connection)]
    assert limits[-1] not in limits[:-1]
    assert connection.execute("SELECT count(*), count(DISTINCT text) FROM much").fetchone() == (1_000_000, 1_000_000)


def test_a_bound_that_was_lifted_holds_no_more() -> None:
    connection = memory()
    connection.execute("SET temp_directory = ''")
    load.within_memory(connection, lambda: None, (20,))
    connection.execute(MUCH)
    assert connection.execute("SELECT count(*) FROM much").fetchone() == (1_000_000,)


def test_what_a_killed_run_had_put_on_disk_is_removed(tmp_path: Path) -> None:
    spilled = tmp_path / "work.duckdb.tmp" / "duckdb_temp_storage_DEFAULT-0.tmp"
    spilled.parent.mkdir()
    spilled.write_bytes(b"rows of a run that is no more")
    open_work(tmp_path / "work.duckdb").close()
    assert [path.name for path in tmp_path.iterdir()] == ["work.duckdb"]
