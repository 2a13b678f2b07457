"""What histories made for tests answer about everything that landed, out of what they answer about each endpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from pipelines.providers.spec import Known


class Walked:
    """The questions of `spec.History` that `landed` can answer."""

    def landed(self, endpoint: str) -> Mapping[str, Known]:
        """Landed entities of an endpoint, by id."""
        raise NotImplementedError

    def landed_parents(self, endpoint: str) -> Sequence[str]:
        """Their parents, each once."""
        return list(dict.fromkeys(each.parent_id for each in self.landed(endpoint).values() if each.parent_id is not None))

    def landed_since(self, endpoint: str, instant: datetime, without: Sequence[str] = ()) -> Sequence[Known]:
        """Those whose event is not older, except what is final in an endpoint of `without`."""
        final = {each.entity_id for name in without for each in self.landed(name).values() if each.state == "final"}
        since = [each for each in self.landed(endpoint).values() if each.event_at is not None and each.event_at >= instant]
        return [each for each in since if each.entity_id not in final]
