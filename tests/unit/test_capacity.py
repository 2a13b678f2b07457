"""Pages about capacity and benchmarks say what was measured, and the server that extraction is measured with answers whole documents."""

from __future__ import annotations

import gzip
import json

from tests.benchmarks import page as benchmarks
from tests.benchmarks.capacity import BIG, PAGE, STORED, Account, page
from tests.benchmarks.extraction_server import _Api, result_id, session_id


def test_the_page_about_capacity_is_what_its_constants_give() -> None:
    assert BIG.results == 28_800_000
    assert Account(2_000, 1, 15).sweep(100, 25) == 2_000  # one page each, however few the results
    assert Account(2_000, 10, 1).sweep(150, 24) == 192_000
    assert all(parquet < text and alone < text for text, parquet, alone in STORED.values())
    assert PAGE.read_text(encoding="utf-8") == page(), "stale: run `python -m tests.benchmarks.capacity`"


def test_the_page_about_benchmarks_is_what_they_measured() -> None:
    measured = json.loads(benchmarks.RESULTS.read_text(encoding="utf-8"))
    assert benchmarks.PAGE.read_text(encoding="utf-8") == benchmarks.render(measured)


def test_the_server_that_extraction_is_measured_with_answers_whole_documents() -> None:
    result = {"testSessionResultId": "of the template", "id": "x", "name": "ümlaut", "n": 1.50}
    api = _Api({"results": [result], "row": {"id": "x"}, "session": {"results": [{"testSessionResultId": "x"}]}})

    def ask(path: str) -> object:
        head, _, body = api.answer(f"/3/2{path}").partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}\r\n".encode() in head + b"\r\n"
        return json.loads(gzip.decompress(body))

    wanted = result_id(1, 70_000)
    assert ask(f"/v1/test-sessions/{session_id(1)}/results/{wanted}") == {**result, "testSessionResultId": wanted, "id": wanted}
    listed = ask("/v1/test-sessions?limit=100")
    assert listed == {"length": 3, "entries": [{"id": session_id(number)} for number in range(3)], "nextId": None}
    session = ask(f"/v1/test-sessions/{session_id(2)}")
    assert session == {"testSessionId": session_id(2), "results": [{"testSessionResultId": result_id(2, number)} for number in range(2)]}
