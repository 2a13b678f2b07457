"""Payloads arrive in any order, at once or one by one, and again: the warehouse is the same. Functions that return violations."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterable, Iterator, Sequence

from pipelines.schemas import CORE
from tests.conformance.bench import Bench, Version
from tests.conformance.checks import has_one_final_try, holds_together
from tests.conformance.fixtures import Fixtures, Story
from tests.conformance.mutants import FIRST_TAG
from tests.conformance.mutate import apply, mutations

MAX_CLONES = 64
LOADS = 3
_OF_ITS_ID = frozenset({"result_key", "run_key", "payload_sha256"})

Arrival = tuple[int, ...]
"""For each version of a story the load (from 0) with which it arrives."""


def order_does_not_matter(fixtures: Fixtures, shuffles: int = 1) -> list[str]:
    """All fixtures, each entity in two versions, in one load or in two of any order: equal core, marts, rejects and drift."""
    versions = _two_versions_each(fixtures)
    found: dict[int, dict[str, str]] = {}
    for seed in range(shuffles + 1):
        shuffled = random.Random(seed).sample(versions, len(versions)) if seed else versions
        with Bench(fixtures.provider) as bench:
            loads = 2 if seed else 1
            for part in range(loads):
                bench.land(shuffled[part::loads], f"sync-{part}")
                bench.load(marts=part == loads - 1)
            found[seed] = bench.hashes()
    return [
        f"{table} depends on the order of the loads (shuffle {seed})"
        for seed, hashes in found.items()
        for table, value in hashes.items()
        if value != found[0][table]
    ]


def replay_changes_nothing(fixtures: Fixtures) -> list[str]:
    """A second load finds nothing; the same payloads landed again change no table."""
    versions = _two_versions_each(fixtures)
    with Bench(fixtures.provider) as bench:
        bench.land(versions, "first")
        bench.load()
        before = bench.hashes()
        found = [] if bench.load().files == 0 else ["a second load took files again"]
        bench.land(versions, "again")
        bench.load()
        after = bench.hashes()
        found += holds_together(bench)
    return found + [f"{table} changed by landing the same payloads again" for table, value in after.items() if value != before[table]]


def _two_versions_each(fixtures: Fixtures) -> list[Version]:
    """Each fixture as it is, and a mutant of it as an earlier or a later version of the same entity."""
    versions: list[Version] = []
    for number, fixture in enumerate(fixtures.fixtures):
        entity_id, endpoint = fixture.id_of(fixture.document), fixture.endpoint
        every = list(mutations(fixture.document, endpoint.tree))
        document, _ = apply(fixture.document, every[(number * 37) % len(every)])
        versions.append(Version(endpoint, entity_id, fixture.parent_id, fixture.document, minute=1))
        versions.append(Version(endpoint, entity_id, fixture.parent_id, document, minute=2 * (number % 2)))
    return versions


# --- stories -----------------------------------------------------------------------------------------------------------


def every_arrival(versions: int, loads: int = LOADS, at_most: int = MAX_CLONES) -> list[Arrival]:
    """Every way in which so many versions can arrive with so many loads, in order first; a sample when there are more than `at_most`.

    Three loads bring any three versions in every order.
    """
    in_order = tuple(range(versions))
    others = [way for way in itertools.product(range(min(loads, versions)), repeat=versions) if way != in_order]
    return [in_order, *(others if len(others) < at_most else random.Random(0).sample(others, at_most - 1))]


def story_comes_true(fixtures: Fixtures, story: Story, arrivals: Sequence[Arrival], replayed: Iterable[Arrival] = ()) -> list[str]:
    """Each arrival happens to a clone of the story of its own, all at once.

    After every load an execution has at most one final try. At the end all holds together, every clone has the story's results,
    executions and outcomes, and all have the same rows but for their ids. `replayed` are loads, per clone, with which versions arrive
    once more.
    """
    again = list(replayed)
    tags = [FIRST_TAG + number for number in range(len(arrivals))]
    found: list[str] = []
    with Bench(fixtures.provider) as bench:
        last = max(itertools.chain.from_iterable([*arrivals, *again]))
        for load in range(last + 1):
            bench.land(_arriving(story, tags, arrivals, load), f"load-{load}")
            bench.land(_arriving(story, tags, again, load), f"again-{load}")
            bench.load(marts=load == last)
            found += [
                f"after load {load}: {violation}" for violation in (holds_together(bench) if load == last else has_one_final_try(bench))
            ]
        rows = {tag: list(each) for tag, each in _rows_by_tag(bench, tags).items()}
        told = {tag: _told(bench, tag) for tag in tags}
    for tag, arrival in zip(tags, arrivals, strict=True):
        if story.end is not None and told[tag] != story.end:
            found.append(f"arriving as {arrival}: results, executions, outcomes of the final tries are {told[tag]}")
        differing = sorted(set(rows[tag]) ^ set(rows[tags[0]]))
        if differing:
            found.append(f"arriving as {arrival}: other rows than in order, such as {differing[0][:300]}")
    return found


def _arriving(story: Story, tags: Sequence[int], arrivals: Sequence[Arrival], load: int) -> Iterator[Version]:
    for tag, arrival in zip(tags, arrivals, strict=False):
        for minute, (fixture, when) in enumerate(zip(story.versions, arrival, strict=True)):
            if when == load:
                entity_id, parent_id, document = fixture.copy(tag)
                yield Version(fixture.endpoint, entity_id, parent_id, document, minute=minute)


def _told(bench: Bench, tag: int) -> tuple[int, int, tuple[str, ...]]:
    ((results, executions, outcomes),) = bench.ask(
        "SELECT count(*), count(DISTINCT execution_id), list(outcome ORDER BY outcome) FILTER (is_final)"
        " FROM core.results WHERE contains(result_id, ?)",
        [str(tag)],
    )
    return results, executions, tuple(outcomes or ())


def _rows_by_tag(bench: Bench, tags: Sequence[int]) -> dict[int, list[str]]:
    """The rows of core of each clone, as texts without what its ids make different."""
    known = set(map(str, tags))
    found: dict[int, list[str]] = {tag: [] for tag in tags}
    for name, table in CORE.items():
        id_ = {"run_key": "run_id", "result_key": "result_id"}.get(
            table.owner or "", {"runs": "run_id", "results": "result_id"}.get(name, "test_id")
        )
        join = "" if table.owner is None else f"JOIN core.{'runs' if table.owner == 'run_key' else 'results'} o USING ({table.owner})"
        listed = ", ".join(f'c."{column}"' for column, _ in bench.columns(f"core.{name}") if column not in _OF_ITS_ID)
        for owner, *row in bench.ask(f"SELECT {'o' if join else 'c'}.{id_}, {listed} FROM core.{name} c {join}"):
            tag = next((digits for digits in re.findall(r"(?=(\d{7}))", str(owner)) if digits in known), None)
            if tag is not None:
                found[int(tag)].append(f"{name} {row!r}".replace(tag, ""))
    return found
