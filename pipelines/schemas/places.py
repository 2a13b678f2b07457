"""The vocabulary in which a provider declares where each documented leaf of a payload stands in the warehouse.

One declaration drives two things: the coverage test, which plants a value in every leaf and looks for it there, and the dictionary's
column `source`. Nothing provider-specific lives here, no reading of payloads either.

A declaration maps JSON pointers (`*` for list places) to targets: `"results.name"` is a column, `"results.attributes#/check"` a pointer
inside a JSON column. The longest pointer that begins a leaf's own pointer wins; where its target is a JSON column, the rest of the leaf's
pointer follows the target's. A tuple of targets means that the leaf stands in each of them. `MASKED` leaves stand in their masked form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Form:
    """How a value is written where it stands, if not as it came.

    `expect` gives the value, or a frozenset of the acceptable ones; `sample` makes a fitting value for a leaf out of a distinct number
    where text, number or flag of the leaf's type would not do.
    """

    name: str
    expect: Callable[[Any], Any]
    sample: Callable[[int], Any] | None = None


@dataclass(frozen=True)
class Target:
    """A column, or a pointer below a JSON column, and the form in which the value stands there."""

    column: str  # "table.column"
    pointer: str = ""
    form: Form | None = None


def at(place: str, form: Form | None = None) -> Target:
    """A target from its text: `table.column` or `table.column#/pointer`."""
    column, _, pointer = place.partition("#")
    return Target(column, pointer, form)


SECONDS = Form("s x 1000", lambda value: value * 1000)
LOWER = Form("lower case", str.lower)
ADDRESS = Form(
    "without query and fragment", lambda value: value.split("?")[0], lambda number: f"https://example.test/v{number}?page={number}"
)

Place = str | Target | tuple[str | Target, ...]


@dataclass(frozen=True)
class Places:
    """Where the leaves of one endpoint stand.

    `id` is the pointer of the leaf that is the entity's id, or several where the payload has several shapes.
    `forms`: pointer of an object -> sets of members that are documented as alternatives to each other (a `oneOf`, or two shapes of one
    payload); members in no set go with each of them.
    `samples`: pointer -> maker of a fitting value, where the leaf's type does not say it (a time, a URL, a code).
    `document`: the API document that names these leaves.
    """

    id: str | tuple[str, ...]
    to: Mapping[str, Place]
    forms: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    samples: Mapping[str, Callable[[int], Any]] = field(default_factory=dict)
    document: str = ""

    def of(self, pointer: str) -> tuple[Target, ...]:
        """The targets of one leaf, without a place none."""
        prefix = pointer
        while prefix not in self.to:
            if not prefix:
                return ()
            prefix = prefix.rpartition("/")[0]
        place = self.to[prefix]
        targets = place if isinstance(place, tuple) else (place,)
        rest = pointer[len(prefix) :]
        return tuple(_below(at(target) if isinstance(target, str) else target, rest) for target in targets)


def _below(target: Target, rest: str) -> Target:
    """`*` of the leaf's own lists have become rows or stay lists: in a JSON column what follows the prefix stays as it is."""
    return Target(target.column, target.pointer + rest, target.form)
