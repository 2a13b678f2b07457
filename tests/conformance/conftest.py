"""One suite per provider that is there, shared by all tests of the folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipelines.providers import load_providers
from tests.conformance.suite import Suite


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`endpoint`: every endpoint of every provider; `provider`: every provider. A new folder is among them by being there."""
    providers = load_providers()
    if "endpoint" in metafunc.fixturenames:
        pairs = [(provider.name, endpoint.name) for provider in providers.values() for endpoint in provider.endpoints]
        metafunc.parametrize(("suite", "endpoint"), pairs, ids=["/".join(pair) for pair in pairs], indirect=["suite"], scope="session")
    elif "suite" in metafunc.fixturenames:
        metafunc.parametrize("suite", list(providers), indirect=True, scope="session")


@pytest.fixture(scope="session")
def suite(request: pytest.FixtureRequest) -> Iterator[Suite]:
    """The suite of one provider. Its mutants are loaded once, by the first test that looks at them."""
    suite = Suite(load_providers()[request.param])
    yield suite
    suite.close()
