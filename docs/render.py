"""Writes the pages of docs/ that are rendered from declarations: `make docs`. tests/architecture/test_docs.py fails when one is stale.

A page is its name and a function that gives its text: the same for the same declarations, in less than two seconds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from pipelines.flows.refresh import column_sources
from pipelines.providers import load_providers
from pipelines.schemas import CORE, META, Table
from pipelines.schemas.dictionary import Sources, fields_of, source_of
from pipelines.schemas.marts import MARTS

DOCS = Path(__file__).parent
PREFACE = """# Data dictionary

<!-- Rendered from pipelines/schemas and the providers' places.py by `make docs`. Do not edit. -->

Every table and column of the published warehouse. In SQL the same stands in `meta.columns` and in the comments of tables and columns.
What no table has can be asked in `lake.payloads`: [unknown-fields.md](unknown-fields.md).

Text is UTF-8, instants are UTC with microseconds, a duration without another unit is in milliseconds, NULL is "not known". Keys
(`result_key`, `run_key`) are the same in every warehouse that is built from the same payloads. Every child table joins to
`core.results` by `result_key`, `core.environments` to `core.runs` by `run_key`; `step_index` joins to `core.steps`.

**Source** names the endpoint (a folder of the lake) and the fields of its payload as JSON pointers, `*` for list places, `{a,b}` for each
of them; in brackets how the value is written, if not as it came. A pointer stands for all that is below it and has no place of its own, so
a JSON column names the uppermost fields only; "(the rest)" is what has no place elsewhere. `payload`: made of the payload as a whole by
the provider's flatten (keys, places in a list, words of the common vocabulary). `derived`: filled afterwards from the rows of several
payloads.
"""


def dictionary() -> str:
    """docs/dictionary.md."""
    known = column_sources(load_providers())
    schemas = {"core": CORE.values(), "marts": MARTS.values(), "meta": META.values()}
    contents = [f"- `{schema}`: " + ", ".join(f"[{table.name}](#{_anchor(table)})" for table in each) for schema, each in schemas.items()]
    tables = [_table(table, known) for each in schemas.values() for table in each]
    return "\n".join([PREFACE, *contents, "", *tables])


def _table(table: Table, known: Sources) -> str:
    key = f"\n\nKey: {', '.join(f'`{name}`' for name in table.key)}." if table.key else ""
    # what is made of core by the marts' SQL, and the loader's books, have no field of a payload to name
    head = ["column", "type", "unit", "meaning", *(["source"] if table.schema_name == "core" else [])]
    rows = [head, ["---"] * len(head)]
    for name, column in table.columns.items():
        row = [f"`{name}`", column.metadata["sql"], column.metadata["unit"] or "", column.description, _source(table, name, known)]
        rows.append([cell.replace("|", "\\|") for cell in row[: len(head)]])
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return f"## {table.full_name}\n\n{table.description}{key}\n\n" + "\n".join(lines) + "\n"


def _source(table: Table, column: str, known: Sources) -> str:
    fields = fields_of(table, column, known)
    if not fields:
        return source_of(table, column, known)
    return "<br>".join(f"{origin}: {', '.join(f'`{field}`' for field in folded(each))}" for origin, each in fields.items())


def folded(fields: tuple[str, ...]) -> list[str]:
    """Fields that differ in one place as one: `/timings/dns` and `/timings/tcp` are `/timings/{dns,tcp}`."""
    paths = [tuple(field.split("/")) for field in fields]
    for place in range(max(map(len, paths)), 0, -1):
        alike: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
        short = [path for path in paths if len(path) < place]
        for path in paths:
            if len(path) >= place:
                alike.setdefault((path[: place - 1], path[place:]), []).append(path[place - 1])
        paths = short + [(*head, _either(names), *tail) for (head, tail), names in alike.items()]
    return ["/".join(path) for path in sorted(paths)]


def _either(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{{{','.join(names)}}}"


def _anchor(table: Table) -> str:
    """The address that GitHub gives to a heading."""
    return table.full_name.replace(".", "")


PAGES: dict[str, Callable[[], str]] = {
    "dictionary.md": dictionary,
}


def stale(folder: Path = DOCS) -> list[str]:
    """Names of the pages that are not what would be written now."""
    return [name for name, render in PAGES.items() if not (path := folder / name).exists() or path.read_text("utf-8") != render()]


def main() -> None:
    """Write every page that is stale, and say which."""
    for name in stale():
        (DOCS / name).write_text(PAGES[name](), "utf-8")
        sys.stdout.write(f"docs/{name} written\n")


if __name__ == "__main__":
    main()
