"""Checkly's API on loopback: test sessions with their results, scheduled checks with theirs, over a made-up account.

Where things live: api.py routes, auth and errors; answers.py and check_answers.py the JSON of sessions and of monitoring
results, definitions.py that of checks; history.py and monitors.py what ran when; catalogue.py the checks; *_blocks.py the
insides of results; planted.py the planted secrets. What happens after the world's start appears as its now reaches it.
"""

from __future__ import annotations

from pipelines.providers.checkly.sandbox.api import app
from pipelines.providers.checkly.sandbox.planted import ACCOUNT_ID, API_KEY, PLANTED_SECRETS

__all__ = ["ACCOUNT_ID", "API_KEY", "PLANTED_SECRETS", "app", "env"]


def env(base_url: str) -> dict[str, str]:
    """The settings that point a sync at the sandbox mounted at `base_url`."""
    return {"CHECKLY_API_KEY": API_KEY, "CHECKLY_ACCOUNT_ID": ACCOUNT_ID, "CHECKLY_API_URL": base_url}
