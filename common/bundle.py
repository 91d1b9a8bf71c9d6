"""The bundle with which Flower starts a run: names and settings, and no code at all.

Flower wants every run to come with a bundle. Ours says which installed module holds the app of each
side, and nothing else; it is the same for every run and every version of Recommons, so that a site
can tell it by its hash from a bundle that somebody put something into.
"""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["BUNDLE_FILES", "BUNDLE_HASH", "COORDINATOR_SETTING", "SITES_SETTING"]

COORDINATOR_SETTING = "coordinator-dir"
"""The run setting that tells the coordinator's app its own folder; sites never see it."""

SITES_SETTING = "sites-dir"
"""The run setting that tells virtual nodes of Flower's simulation where the sites' folders are."""

_PROJECT = f"""\
[project]
name = "recommons"
version = "1.0.0"
description = "Names the apps that are installed at each side; holds no code."
license = "Apache-2.0"

[tool.flwr.app]
publisher = "recommons"
fab-include = ["/README.md"]

[tool.flwr.app.components]
serverapp = "recommons.server.app:app"
clientapp = "recommons.client.app:app"

[tool.flwr.app.config]
{COORDINATOR_SETTING} = ""
{SITES_SETTING} = ""
"""

_README = """\
# Recommons

This bundle holds no code. Each side runs the Recommons that it has installed.
"""

BUNDLE_FILES: Mapping[str, bytes] = MappingProxyType(
    {"pyproject.toml": _PROJECT.encode(), "README.md": _README.encode()}
)

BUNDLE_HASH = "d1bad5c6f9760cb2348bee25b5b36bcd61c3a7b735c529e0e1e19b4f770da80f"
"""SHA-256, in hex, of the bundle that Flower 1.41 builds from `BUNDLE_FILES`."""
