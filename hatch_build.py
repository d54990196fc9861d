"""Build the documentation site into the wheel, so that `audience-sync docs` opens it without a network."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class SiteBuildHook(BuildHookInterface[Any]):
    """Add the built site to the wheel. An editable installation has none: `nox -s site` builds it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        if version == "editable":
            return
        if find_spec("zensical") is None or not (root / "mkdocs.yml").exists():
            self.app.display_warning("The wheel has no documentation: Zensical or mkdocs.yml is missing.")
            return
        subprocess.run([sys.executable, str(root / "docs" / "build_site.py")], check=True)
        build_data["force_include"][str(root / "build" / "site")] = "audience_sync/site"
