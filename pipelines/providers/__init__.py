"""Finds the providers: every folder here that builds a `PROVIDER`. A fifth provider is one new folder and nothing else."""

from __future__ import annotations

import importlib
import pkgutil

from pipelines.providers.spec import Provider


def load_providers() -> dict[str, Provider]:
    """Every provider by name, sorted. Folders whose name starts with an underscore are not providers."""
    found: dict[str, Provider] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda info: info.name):
        if module.ispkg and not module.name.startswith("_"):
            provider = importlib.import_module(f"{__name__}.{module.name}").PROVIDER
            found[provider.name] = provider
    return found
