"""`schema` prints what editors check a config with, and `init` puts it next to the config."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator

from .conftest import Project

DOCS = Path(__file__).parents[2] / "docs"


def test_it_is_the_published_one(project: Project) -> None:
    """It needs no config."""
    ended = project.run("schema")
    assert (ended.code, ended.stderr) == (0, "")
    assert ended.json == json.loads((DOCS / "config.schema.json").read_text("utf-8"))


def test_a_new_config_names_its_schema_in_the_first_line(project: Project) -> None:
    """As yaml-language-server reads it: relative to the config, so that it needs no network."""
    assert project.run("init", "shop").code == 0
    shop = project.folder / "shop"
    first, _, _ = (shop / "config.yaml").read_text("utf-8").partition("\n")
    prefix, name = first.split("$schema=")
    assert prefix == "# yaml-language-server: "
    schema = json.loads((shop / name).read_text("utf-8"))
    config = yaml.safe_load((shop / "config.yaml").read_text("utf-8"))
    assert list(Draft202012Validator(schema).iter_errors(config)) == []
    config["audiences"][0]["user_di"] = "customer_id"
    (error,) = Draft202012Validator(schema).iter_errors(config)
    assert "'user_di' was unexpected" in error.message


def test_what_a_run_writes_and_secrets_are_not_committed(project: Project) -> None:
    assert project.run("init", "--sandbox", "watched").code == 0
    assert project.run("init").code == 0
    assert project.sync().code == 0
    project.write(".env", "SECRET=1\n")
    shutil.copy(project.store, project.folder / "audience_sync.db.before-0100-from-0022")
    subprocess.run(["git", "init", "-q", str(project.folder)], check=True)
    command = ["git", "-C", str(project.folder), "status", "--porcelain", "--untracked-files=all"]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    mine = {each.removeprefix("?? ") for each in found if "watched/" not in each}
    assert mine == {
        ".gitignore",
        "config.schema.json",
        "config.yaml",
        "examples/shop/app_events.jsonl",
        "examples/shop/customers.parquet",
        "examples/shop/order_completed_last_30days.csv",
        "examples/shop/orders.csv",
        "examples/shop/predictions.db",
    }


def test_files_that_are_there_stay_and_are_named(project: Project) -> None:
    project.write(".gitignore", "*.tmp\n")
    project.write("config.schema.json", "{}")
    ended = project.run("init")
    assert ended.code == 0
    assert ".gitignore is unchanged. Add to it: audience_sync.db*, .env, identify_calls.jsonl" in ended.stdout
    assert (project.folder / ".gitignore").read_text() == "*.tmp\n"
    assert (project.folder / "config.schema.json").read_text() == "{}"
