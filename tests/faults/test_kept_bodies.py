"""Answers byte by byte: only where the setting asks for them, only in the private folder, those that cannot be used among them."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.errors import SettingsError
from pipelines.flows.pull import pull
from pipelines.flows.track import track_lines
from pipelines.lake.store import Lake
from pipelines.providers import load_providers
from pipelines.settings import load_settings
from tests.conformance.bench import NOW
from tests.support.clock import VirtualClock
from tests.support.house import House
from tests.support.http import raw, raw_server

SECRET = "Hush-4711-Zebra"
BODIES = [
    f'{{"test_run": {{"id": 0, "status": "passed",  "credentials": {{"password": "{SECRET}"}}}}}}'.encode(),
    b'{"test_run": {"id": 1,}}',
]


@pytest.mark.fault("D1", "X2", "X15")
@pytest.mark.parametrize("word", [None, "off", "on"])
def test_answers_are_kept_byte_by_byte_where_that_is_set_and_nowhere_else(
    tmp_path: Path, word: str | None, record_property: Callable[[str, object], None]
) -> None:
    clock = VirtualClock(NOW)

    async def sync() -> House:
        async def script(writer: asyncio.StreamWriter, _: int) -> None:
            writer.write(raw(BODIES[int(server.heads[-1].split()[1].rsplit("/", 1)[-1])]))

        async with raw_server(script) as server:
            environ = {"DOCKETQA_API_KEY": "dq-key", "DOCKETQA_API_URL": server.url}
            environ |= {} if word is None else {"RESULTHOUSE_KEEP_BODIES": word}
            house = House(tmp_path, None, environ=environ, clock=clock)
            provider = house.settings.providers["docketqa"]
            runs = [{"id": number, "test_blueprint_id": 7} for number in range(len(BODIES))]
            track_lines(provider, house.settings, [json.dumps({"test_group_run": {"id": 9, "test_runs": runs}}).encode()], clock, "track")
            await pull(provider, house.settings, clock, sync_id="20261120T120000-00000000")
            return house

    house = asyncio.run(sync())
    kept = {path.name: path for path in (tmp_path / "private").rglob("*.gz")}
    hashes = [hashlib.sha256(body).hexdigest() for body in BODIES]
    assert set(kept) == ({f"{each}.gz" for each in hashes} if word == "on" else set())
    for path, body in zip((kept.get(f"{each}.gz") for each in hashes), BODIES, strict=True):
        if path is not None:
            assert gzip.decompress(path.read_bytes()) == body
            assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    lake = Lake(house.settings.lake)
    known = {row["body_sha256"] for file in lake.raw_files() for row in lake.read_raw(file).to_pylist()}
    known |= {row["body_sha256"] for row in lake.refused("docketqa").to_pylist()}
    assert known >= set(hashes)
    outside = [path for path in tmp_path.rglob("*") if path.is_file() and path.relative_to(tmp_path).parts[0] != "private"]
    assert [path for path in outside if SECRET.encode() in path.read_bytes()] == []
    record_property("cases", len(BODIES))


def test_another_word_for_keeping_answers_is_said() -> None:
    with pytest.raises(SettingsError, match="RESULTHOUSE_KEEP_BODIES must be on or off, not 'yes'"):
        load_settings(load_providers(), environ={"RESULTHOUSE_KEEP_BODIES": "yes"}, dotenv=None)
