"""What the tests of mended mistakes start from: the command's projects, and the sources' readers."""

from __future__ import annotations

from cli.conftest import new_vip, project, receiver, vip
from sources.conftest import read, workspace, write

__all__ = ["new_vip", "project", "read", "receiver", "vip", "workspace", "write"]
