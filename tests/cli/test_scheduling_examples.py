"""The files of docs/scheduling/ pass systemd's own check and the schemas of Kubernetes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "docs" / "scheduling"
UNITS = sorted([*FOLDER.glob("*.service"), *FOLDER.glob("*.timer")])
MANIFESTS = sorted(FOLDER.glob("*.yaml"))
INSTALLED = "/opt/audience-sync/bin/audience-sync"


def _missing(what: str) -> None:
    """A laptop may go without, what lands may not."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is needed", pytrace=False)
    pytest.skip(f"{what} is needed")


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        _missing("systemd-analyze, of Debian's package systemd,")
    for unit in UNITS:
        text = unit.read_text("utf-8").replace(INSTALLED, sys.executable)
        assert INSTALLED in unit.read_text("utf-8") or unit.suffix == ".timer"
        (tmp_path / unit.name).write_text(text, "utf-8")
    files = [tmp_path / unit.name for unit in UNITS]
    done = subprocess.run(["systemd-analyze", "verify", *files], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda each: each.stem)
def test_kubernetes_takes_the_manifests(manifest: Path) -> None:
    validate = pytest.importorskip("kubernetes_validate")
    resource = yaml.safe_load(manifest.read_text("utf-8"))
    validate.validate(resource, validate.latest_version(), strict=True)
    wrong = {**resource, "spec": {**resource["spec"], "no such part": 1}}
    with pytest.raises(validate.ValidationError):
        validate.validate(wrong, validate.latest_version(), strict=True)


@pytest.mark.parametrize(("code", "ends"), [(0, 0), (1, 0), (2, 2), (3, 3), (4, 4), (5, 0)])
def test_the_cronjob_knows_the_exit_codes(tmp_path: Path, code: int, ends: int) -> None:
    command = tmp_path / "audience-sync"
    command.write_text(f"#!/bin/sh\nexit {code}\n", "utf-8")
    command.chmod(0o755)
    job = yaml.safe_load((FOLDER / "cronjob.yaml").read_text("utf-8"))["spec"]["jobTemplate"]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert subprocess.run(container["command"], env=environment).returncode == ends


@pytest.mark.parametrize("meanwhile", ["", "sleep 0.3"], ids=["later", "before the process is known"])
def test_the_cronjob_hands_sigterm_on(tmp_path: Path, meanwhile: str) -> None:
    command = tmp_path / "audience-sync"
    command.write_text(
        "#!/bin/sh\ntrap 'echo stopped; exit 130' TERM\necho begun\nfor _ in $(seq 100); do sleep 0.05; done\n", "utf-8"
    )
    command.chmod(0o755)
    job = yaml.safe_load((FOLDER / "cronjob.yaml").read_text("utf-8"))["spec"]["jobTemplate"]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    *shell_command, script = container["command"]
    script = script.replace("sync &\n", f"sync &\n{meanwhile}\n")
    with subprocess.Popen([*shell_command, script], env=environment, stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdout is not None
        assert shell.stdout.readline() == "begun\n"
        shell.terminate()
        assert shell.stdout.read() == "stopped\n"
    assert shell.returncode == 130


def test_the_units_know_the_exit_codes() -> None:
    once = (FOLDER / "audience-sync.service").read_text("utf-8")
    assert "SuccessExitStatus=1 5\n" in once
    assert "RestartPreventExitStatus=2 4\n" in once
