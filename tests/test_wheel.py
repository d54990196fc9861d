"""What a person gets from the wheel: the same bytes from every build, links that hold, the manual page."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from email import message_from_bytes
from pathlib import Path

import pytest
import yaml

from audience_sync.version import __version__

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
#: What the build reads; the documentation is built by `nox -s wheel` alone, which needs Zensical.
SOURCES = (
    *PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["only-include"],
    "pyproject.toml",
    "LICENSE",
)
Build = Callable[..., Path]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """``build(mask=0o077, TZ="Asia/Tokyo")``: the wheel of a copy of the sources in a new folder."""
    pytest.importorskip("hatch_fancy_pypi_readme")

    def make(mask: int = 0o022, **environment: str) -> Path:
        folder = tmp_path_factory.mktemp("build")
        before = os.umask(mask)
        try:
            for name in SOURCES:
                if (ROOT / name).is_dir():
                    shutil.copytree(ROOT / name, folder / name, copy_function=shutil.copyfile, ignore=_compiled)
                else:
                    shutil.copyfile(ROOT / name, folder / name)
            variables = {**os.environ, "HATCH_BUILD_NO_HOOKS": "true", **environment}
            command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
            subprocess.run(command, cwd=folder, env=variables, check=True, capture_output=True)
        finally:
            os.umask(before)
        (wheel,) = (folder / "dist").glob("*.whl")
        return wheel

    return make


_compiled = shutil.ignore_patterns("__pycache__")


@pytest.fixture(scope="module")
def wheel(build: Build) -> zipfile.ZipFile:
    return zipfile.ZipFile(build())


def test_two_builds_have_the_same_bytes(build: Build) -> None:
    """Wherever, whenever and by whomever they are made."""
    one = build(SOURCE_DATE_EPOCH="1790000000", TZ="UTC")
    other = build(0o077, SOURCE_DATE_EPOCH="1790000000", TZ="Asia/Tokyo", LC_ALL="C", PYTHONHASHSEED="7")
    assert one.name == other.name
    assert one.read_bytes() == other.read_bytes()


def test_the_epoch_is_the_time_of_its_files(build: Build) -> None:
    files = zipfile.ZipFile(build(SOURCE_DATE_EPOCH="1790000000")).infolist()
    assert {each.date_time for each in files} == {(2026, 9, 21, 14, 13, 20)}


def test_the_links_of_its_description_lead_to_files_of_its_version(wheel: zipfile.ZipFile) -> None:
    (name,) = (each for each in wheel.namelist() if each.endswith("METADATA"))
    metadata = message_from_bytes(wheel.read(name))
    base = f"{PROJECT['project']['urls']['Source']}/blob/v{metadata['Version']}/"
    links = re.findall(r"\]\(([^)\s]+)\)", str(metadata.get_payload()))
    assert len(links) > 10
    assert [each for each in links if not each.startswith(base)] == []
    assert [each for each in links if not (ROOT / each.removeprefix(base).partition("#")[0]).exists()] == []


def test_it_has_what_commands_read_and_the_manual_page(wheel: zipfile.ZipFile) -> None:
    names = {re.sub(r"^audience_sync-[^/]*/", "", name) for name in wheel.namelist()}
    assert {
        "audience_sync/example/config.yaml",
        "audience_sync/example/examples/shop/orders.csv",
        "audience_sync/store/migrations/env.py",
        "audience_sync/py.typed",
        "data/share/man/man1/audience-sync.1",
    } <= names
    assert [name for name in names if name.startswith(("tests", "docs"))] == []


def test_every_supported_version_of_python_is_declared_and_tested() -> None:
    declared = [each.rpartition(" ")[2] for each in PROJECT["project"]["classifiers"] if re.search(r":: 3\.\d+$", each)]
    assert declared == ["3.11", "3.12", "3.13", "3.14"]
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    assert f"python: {declared}".replace("'", '"') in workflow


def test_the_image_is_built_from_all_that_the_wheel_is_built_from() -> None:
    copied = set(re.findall(r"^COPY ((?:\S+ )+)\S+$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE))
    files = {name for line in copied if not line.startswith("--") for name in line.split()}
    allowed = set((ROOT / ".dockerignore").read_text("utf-8").split())
    assert set(SOURCES) <= files
    assert {f"!{name}" for name in files} <= allowed


def test_every_place_names_the_version_of_the_program() -> None:
    """The first release is 0.1.0; `docs/releasing.md` has the steps of the next one."""
    chart = yaml.safe_load((ROOT / "deploy" / "helm" / "audience-sync" / "Chart.yaml").read_text("utf-8"))
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)
    for name in ("README.md", "docs/man/audience-sync.1"):
        text = (ROOT / name).read_text("utf-8").replace("\\-", "-")
        found = re.findall(r'audience-sync(?: |","version":")(\d+\.\d+\.\d+)', text)
        assert found, name
        assert set(found) == {__version__}, name


def test_the_changelog_has_a_section_for_the_version() -> None:
    first, second, *_ = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert first == "Unreleased"
    assert re.fullmatch(rf"{re.escape(__version__)} - \d{{4}}-\d\d-\d\d", second)


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is needed")
def test_the_manual_page_has_no_warning() -> None:
    command = ["mandoc", "-T", "lint", "-W", "warning", str(ROOT / "docs" / "man" / "audience-sync.1")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
