"""The bars of coverage: what falls below one is said, and nothing else."""

from __future__ import annotations

from typing import Any

from tests.support.bars import WHOLE, judged


def _told(lines: int, of_lines: int, branches: int = 0, of_branches: int = 0, missing: tuple[Any, Any] = ((), ())) -> dict[str, Any]:
    summary = {"covered_lines": lines, "num_statements": of_lines, "covered_branches": branches, "num_branches": of_branches}
    return {"summary": summary, "missing_lines": list(missing[0]), "missing_branches": [list(way) for way in missing[1]]}


def _whole() -> dict[str, Any]:
    return {pattern.replace("*", "x"): _told(1, 1) for patterns in WHOLE.values() for pattern in patterns}


def test_lines_and_branches_have_a_bar_each() -> None:
    for lines, branches, is_enough in ((95, 92, True), (94, 100, False), (100, 91, False)):
        _, missed = judged({**_whole(), "pipelines/a.py": _told(lines * 100, 10_000, branches * 100, 10_000)})
        assert (missed == []) == is_enough, (lines, branches)


def test_a_room_that_must_be_whole_names_what_is_left_out() -> None:
    publish = _told(97, 100, 8, 10, ((4, 5), ((3, 7), (4, 9), (8, -1))))
    table, missed = judged(
        {**_whole(), "pipelines/warehouse/publish.py": publish, "pipelines/warehouse/rest.py": _told(999, 1000, 999, 1000)}
    )
    assert missed == ["publish: pipelines/warehouse/publish.py: lines 4, 5 not reached; ways from line 3 to 7, 8 to the end not reached"]
    assert next(line for line in table if "publish" in line).split() == ["pipelines/warehouse/publish.py", "97.0", "%", "80.0", "%"]


def test_a_room_that_is_not_there_any_more_is_no_pass() -> None:
    files = _whole()
    del files["pipelines/lake/redact.py"]
    assert judged(files)[1] == ["redaction: there is no pipelines/lake/redact.py"]
