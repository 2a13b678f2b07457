"""What is true of every file: no registry address, and no check switched off without a reason."""

import re
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT, modules, name_of, repository_files

# Put together here, so that this file does not mention them either.
REGISTRIES = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("deb", "debian", "org"),
        ("security", "debian", "org"),
        ("proxy", "golang", "org"),
    )
)
PYTHON = [*modules("pipelines"), *modules("assets"), *modules("tests")]
EXCEPTION = re.compile(r"#\s*(?:noqa|type:\s*ignore|pragma:|ruff:\s*noqa)(?P<rest>.*)")
REASON = re.compile(r"^(?:\s*:\s*[A-Z0-9, ]+|\s*\[[a-z0-9, -]+\]|\s*no cover)?\s*(?:#|--?|—|:|\()\s*\w+\W+\w+")


def unexplained(source: str) -> list[str]:
    """Lines that switch a check off without saying why on the same line."""
    return [line.strip() for line in source.splitlines() if (found := EXCEPTION.search(line)) and not REASON.match(found["rest"])]


def test_no_file_names_a_package_registry() -> None:
    assert [(name_of(path), host) for path in repository_files() for host in REGISTRIES if host.encode() in path.read_bytes().lower()] == []


def test_lock_holds_names_versions_and_hashes_only() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    requirement = re.compile(r"[a-z0-9][a-z0-9._-]*(\[[a-z0-9,_-]+\])?==[^\s;@/]+( ; [^/@]+)? \\")
    hash_line = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")
    assert [line for line in lines if not requirement.fullmatch(line) and not hash_line.fullmatch(line)] == []


@pytest.mark.parametrize("path", PYTHON, ids=name_of)
def test_every_exception_from_a_check_gives_its_reason(path: Path) -> None:
    if path != Path(__file__):
        assert unexplained(path.read_text()) == []


@pytest.mark.parametrize(
    ("line", "is_unexplained"),
    [
        ("x = 1  # noqa", True),
        ("x = 1  # noqa: S608", True),
        ("x = 1  # noqa: S608  # names come from the schemas", False),
        ("x = 1  # noqa: S608 - names come from the schemas", False),
        ("x = 1  # type: ignore[arg-type]", True),
        ("x = 1  # type: ignore[arg-type]  # stub lacks the overload", False),
        ("x = 1  # a plain remark", False),
    ],
)
def test_an_exception_without_a_reason_is_seen(line: str, is_unexplained: bool) -> None:
    assert bool(unexplained(line)) is is_unexplained


def test_every_lint_exception_of_the_project_gives_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    tables = re.findall(r"^ignore = \[\n(.*?)^\]|^\[tool\.ruff\.lint\.per-file-ignores\]\n(.*?)^\[", text, re.M | re.S)
    lines = [line for table in tables for part in table for line in part.splitlines()]
    exceptions = [line for line in lines if re.search(r'"[A-Z]+\d+"', line)]
    assert len(exceptions) > 5, "the tables were not found"
    assert [line for line in exceptions if "#" not in line] == []


def test_every_dependency_says_why_it_is_there() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    lines = re.findall(r'^    "[a-z][a-z0-9-]*[=>][^\n]*', text, re.M)
    assert len(lines) > 20, "the dependencies were not found"
    assert [line for line in lines if not re.search(r'",\s+# \w+', line)] == []
