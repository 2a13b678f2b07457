"""What must be true of every provider, as functions that return violations: sentences, none when all is well.

They know no provider and no test framework: `test_*.py` beside run them for the providers that are there, and for one that is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pipelines.jsontext import dump
from pipelines.schemas import CORE
from pipelines.warehouse.checks import CHECKS, EVERY_ROW
from tests.conformance.bench import Bench
from tests.conformance.mutants import Mutant, Mutants, name_of
from tests.conformance.mutate import NUMBER, PLANTED, TEXT, Mutation, verdict
from tests.conformance.pointers import at, is_there, pointer_of

MAX_MS = 366 * 86_400_000
"""No test and no phase of one takes longer than a year."""


# --- of a warehouse ----------------------------------------------------------------------------------------------------


def holds_together(bench: Bench) -> list[str]:
    """Consistent (`is_consistent`), and the marts count each execution once."""
    ((rows, executions, wanted),) = bench.ask(
        "SELECT count(*), count(DISTINCT (provider, execution_id)), (SELECT count(*) FROM core.results WHERE is_final)"
        " FROM marts.executions"
    )
    is_once = rows == executions == wanted
    return is_consistent(bench) + (
        [] if is_once else [f"marts.executions: {rows} rows of {executions} executions for {wanted} final tries"]
    )


def has_one_final_try(bench: Bench) -> list[str]:
    """No execution has two final tries, or one that has not ended."""
    (check,) = [check for check in CHECKS if check.name == "one_final_try"]
    return [f"{check.name}: {count}" for _, sql in check.parts if (count := bench.ask(sql.format_map(EVERY_ROW))[0][0])]


def is_consistent(bench: Bench) -> list[str]:
    """Keys unique, parents there, at most one final try and that terminal, everything landed is loaded, superseded or rejected."""
    found = [
        f"{check.name}: {count} in {place}"
        for check in CHECKS
        for place, sql in check.parts
        if (count := bench.ask(sql.format_map(EVERY_ROW))[0][0])
    ]
    ((landed, ended, pending),) = bench.ask(
        "SELECT (SELECT sum(payloads) FROM meta.loads), (SELECT sum(loaded + superseded + rejected) FROM meta.loads),"
        " (SELECT count(*) FROM meta.versions WHERE state NOT IN ('loaded', 'superseded', 'rejected'))"
    )
    if (landed, ended, pending) != (bench.landed, bench.landed, 0):
        found.append(f"conservation: {bench.landed} landed, {landed} in the ledger, {ended} ended, {pending} otherwise")
    ((unsaid,),) = bench.ask(
        "SELECT count(*) FROM meta.versions v WHERE state = 'rejected' AND NOT EXISTS (SELECT 1 FROM meta.rejects r"
        " WHERE r.endpoint = v.endpoint AND r.entity_id = v.entity_id AND r.scope = 'payload')"
    )
    if unsaid:
        found.append(f"{unsaid} rejected payloads without a reject that says why")
    return found


def is_plausible(bench: Bench) -> list[str]:
    """Instants are UTC and between 2010 and 2100, durations finite, not negative and not longer than a year."""
    found = [] if bench.ask("SELECT current_setting('TimeZone')") == [("UTC",)] else ["the session's time zone is not UTC"]
    for table in (*(f"core.{name}" for name in CORE), "marts.executions"):
        for column, sql in bench.columns(table):
            if sql.startswith("TIMESTAMP"):
                wrong = f"\"{column}\" NOT BETWEEN TIMESTAMPTZ '2010-01-01' AND TIMESTAMPTZ '2100-01-01'"
                if sql != "TIMESTAMP WITH TIME ZONE":
                    found.append(f"{table}.{column} has no time zone")
            elif column.endswith("_ms"):
                wrong = f'NOT (isfinite("{column}") AND "{column}" BETWEEN 0 AND {MAX_MS})'
            else:
                continue
            ((count, example),) = bench.ask(f'SELECT count(*), min("{column}") FROM {table} WHERE {wrong}')
            if count:
                found.append(f"{table}.{column}: {count} values such as {example}")
    return found


# --- of its mutants ----------------------------------------------------------------------------------------------------


def is_loaded_or_rejected(mutants: Mutants, endpoint: str) -> list[str]:
    """Every mutant is accounted for, and none is rejected for want of a leaf that is not required."""
    found: list[str] = []
    for mutant in mutants.of(endpoint):
        state = mutants.states.get(name_of(mutant))
        if state not in ("loaded", "rejected"):
            found.append(f"{mutant}: its version is {state}")
        elif state == "rejected" and not any(_is_required(mutant, mutation) for mutation in mutant.mutations):
            found.append(f"{mutant}: rejected ({', '.join(sorted(mutants.rejects.get(name_of(mutant), set())))})")
    return found


def loses_no_row_for_an_optional_leaf(mutants: Mutants, endpoint: str) -> list[str]:
    """A payload without one scalar, or with null there, still gives each of its results, runs and tests, or a reject says why not."""
    found: list[str] = []
    for mutant in mutants.of(endpoint):
        for mutation in mutant.mutations:
            is_scalar = not isinstance(at(mutant.fixture.document, mutation.path), dict | list)
            if mutation.kind in ("delete", "null") and is_scalar and not _is_required(mutant, mutation):
                lost = [
                    name for name in mutants.lost(mutant) if name in ("results", "runs", "sightings") and not mutants.is_excused(mutant)
                ]
                found += [f"{mutant}: fewer rows of {name}" for name in lost]
    return found


def shows_what_is_undocumented(mutants: Mutants, endpoint: str) -> list[str]:
    """An unknown field, a changed type, an unknown word: in `meta.drift` at its pointer or one above, or the payload is a reject."""
    found: list[str] = []
    for mutant in mutants.of(endpoint):
        if len(mutant.mutations) != 1 or mutants.states.get(name_of(mutant)) == "rejected":
            continue
        pointer = verdict(mutant.fixture.endpoint.tree, mutant.fixture.document, mutant.mutations[0])
        seen = {place for place, kind in mutants.all_drift(mutant) if kind != "repaired"}
        if pointer is not None and not any(pointer == place or pointer.startswith(f"{place}/") for place in seen):
            found.append(f"{mutant}: nothing in drift at {pointer}, but {sorted(seen) or 'nothing'}")
    return found


def nothing_becomes_null_silently(mutants: Mutants, endpoint: str) -> list[str]:
    """What a value of another type or a repeated one empties or removes shows in drift, is a reject, or stands elsewhere in the rows."""
    doubtful: dict[tuple[str, str], tuple[Mutant, list[str]]] = {}
    for mutant in mutants.of(endpoint):
        kinds = {mutation.kind for mutation in mutant.mutations}
        if not kinds or kinds & {"delete", "null", "null_list"} or mutants.is_excused(mutant) or _was_undocumented(mutants, mutant):
            continue
        lost = mutants.lost(mutant)
        if lost:
            doubtful[name_of(mutant)] = mutant, lost
    texts = mutants.texts(doubtful)
    return [
        f"{mutant}: without a word less in {', '.join(lost)}"
        for name, (mutant, lost) in doubtful.items()
        if not _stands(mutant, texts.get(name, ""))
    ]


def no_secret_lands(mutants: Mutants, endpoint: str) -> list[str]:
    """What was planted in masked leaves is nowhere in the lake, so nowhere behind it."""
    by_id = {mutant.version.entity_id: mutant for mutant in mutants.of(endpoint)}
    found: list[str] = []
    for file in mutants.bench.lake.raw_files():
        if file.endpoint == endpoint:
            table = mutants.bench.lake.read_raw(file, ["entity_id", "payload"]).to_pydict()
            leaks = [id_ for id_, payload in zip(table["entity_id"], table["payload"], strict=True) if PLANTED in payload]
            found += [f"{by_id[id_]}: a secret is in the lake" for id_ in leaks]
    return found


MUTANT_CHECKS: Mapping[str, Callable[[Mutants, str], list[str]]] = {
    check.__name__: check
    for check in (
        is_loaded_or_rejected,
        loses_no_row_for_an_optional_leaf,
        shows_what_is_undocumented,
        nothing_becomes_null_silently,
        no_secret_lands,
    )
}
WAREHOUSE_CHECKS: Mapping[str, Callable[[Bench], list[str]]] = {check.__name__: check for check in (holds_together, is_plausible)}


def _is_required(mutant: Mutant, mutation: Mutation) -> bool:
    pointer = pointer_of(mutation.path)
    return any(required == pointer or required.startswith(f"{pointer}/") for required in mutant.fixture.required)


def _was_undocumented(mutants: Mutants, mutant: Mutant) -> bool:
    """Whether all that was changed is within what drift shows already, of the fixture as it is."""
    places = [place for place, _ in mutants.all_drift(mutant)]
    pointers = [pointer_of(mutation.path) for mutation in mutant.mutations]
    return all(any(pointer == place or pointer.startswith(f"{place}/") for place in places) for pointer in pointers)


def _stands(mutant: Mutant, text: str) -> bool:
    """Whether the values that the mutations put there are in its rows."""
    document = mutant.version.document
    wanted: list[str] = []
    for mutation in mutant.mutations:
        if mutation.kind == "swap":
            value = at(document, mutation.path) if is_there(document, mutation.path) else None
            wanted.append(str(value) if value in (NUMBER, TEXT) else str(value).lower())
        elif mutation.kind in ("object", "list", "scalar") and is_there(document, mutation.path):
            value = at(document, mutation.path)
            inside = value["was"] if mutation.kind == "object" else value[0] if mutation.kind == "list" else value
            wanted.append(inside if isinstance(inside, str) else dump(inside))
        else:
            return False
    return all(value in text for value in wanted)
