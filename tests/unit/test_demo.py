"""The demo's home: it throws away what an earlier demo made, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipelines.errors import SettingsError
from pipelines.flows import demo
from pipelines.flows.demo import MARKER, SandboxProcess, make_home


def test_the_home_of_an_earlier_demo_is_made_anew(tmp_path: Path) -> None:
    home = make_home(tmp_path / "data" / "demo")
    assert home.is_absolute()
    assert home.stat().st_mode & 0o777 == 0o700
    (home / "lake").mkdir()
    (home / "lake" / "old.parquet").write_bytes(b"old")
    assert [path.name for path in make_home(tmp_path / "data" / "demo").iterdir()] == [MARKER]


def test_a_folder_that_no_demo_made_is_left_as_it_is_and_named(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    home.mkdir()
    make_home(home)  # an empty one is nobody's
    (home / MARKER).unlink()
    (home / "thesis.tex").write_text("mine")
    with pytest.raises(SettingsError, match=str(home)):
        make_home(home)
    assert (home / "thesis.tex").read_text() == "mine"


def test_a_link_or_a_file_in_its_place_is_never_followed_or_replaced(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    make_home(target)
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "file").write_text("mine")
    for name in ("link", "file"):
        with pytest.raises(SettingsError, match=f"{name} is not a folder"):
            make_home(tmp_path / name)
    assert (target / MARKER).exists()
    assert (tmp_path / "file").read_text() == "mine"
    with pytest.raises(SettingsError, match="cannot be written"):
        make_home(tmp_path / "file" / "demo")


def test_a_sandbox_that_does_not_come_up_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_serve", print)  # a process that ends without a word to its owner
    server = SandboxProcess(1, 1, datetime(2026, 11, 22, tzinfo=UTC))
    with pytest.raises(RuntimeError, match="did not come up"):
        server.__enter__()
    server.__exit__(None, None, None)
