"""A provider of nothing, for tests of what only needs one: its lake is filled by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator

from pipelines.providers.spec import Auth, Crawl, Endpoint, Event, Provider


async def nothing(crawl: Crawl) -> AsyncIterator[Event]:
    """No event."""
    return
    yield


def toy(*endpoints: Endpoint) -> Provider:
    """The provider `toy` with these endpoints, of which `runs` is tracked."""
    return Provider(
        name="toy",
        title="Toy",
        base_url="https://toy.example",
        url_setting="TOY_API_URL",
        settings=(),
        auth=Auth(),
        endpoints=endpoints,
        discover=nothing,
        tracked_endpoint="runs",
    )
