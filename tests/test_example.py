"""A new project begins with the example."""

from __future__ import annotations

import filecmp
import shutil
import stat
from pathlib import Path

import pytest

from audience_sync import project_template as starter
from audience_sync.config.loader import load
from audience_sync.destinations.file import FileDestination
from audience_sync.errors import AudienceSyncError
from audience_sync.project_template import copy_project_template, example_folder

ROOT = Path(__file__).parents[1]
SHOP = ROOT / "examples" / "shop"
COPIED = [
    "config.yaml",
    "examples/shop/app_events.jsonl",
    "examples/shop/customers.parquet",
    "examples/shop/order_completed_last_30days.csv",
    "examples/shop/orders.csv",
    "examples/shop/predictions.db",
]


class TestTheConfig:
    def test_loads_with_no_variable_set(self) -> None:
        settings = load(
            ROOT / "config.yaml",
            environment=None,
            variables={},
            destination_types={"file": FileDestination.Options},
        )
        assert [audience.property_key for audience in settings.audiences] == [
            "order_completed_last_30days",
            "big_spenders",
            "active_in_app",
            "churn_risk",
        ]
        assert list(settings.computed_traits[0].columns) == [
            "email",
            "name",
            "timezone",
            "device_token",
            "device_type",
            "loyalty_member",
            "favourite_category",
            "total_revenue_180_days",
            "createdAt",
        ]
        assert list(settings.destinations) == ["log"]


class TestCopyingTheExample:
    def test_gives_a_folder_with_config_and_data_and_names_its_files(self, tmp_path: Path) -> None:
        target = tmp_path / "new" / "project"
        assert copy_project_template(target) == [target / name for name in COPIED]
        assert filecmp.cmpfiles(ROOT, target, COPIED, shallow=False) == (COPIED, [], [])

    def test_leaves_what_else_is_in_the_folder(self, tmp_path: Path) -> None:
        (tmp_path / "examples").mkdir()
        (tmp_path / "examples" / "mine.csv").write_text("user_id\n7\n")
        copy_project_template(tmp_path)
        assert (tmp_path / "examples" / "mine.csv").read_text() == "user_id\n7\n"

    def test_never_overwrites_a_config(self, tmp_path: Path) -> None:
        (tmp_path / "config.yaml").write_text("mine")
        with pytest.raises(AudienceSyncError, match=r"config\.yaml exists already\. Nothing was copied"):
            copy_project_template(tmp_path)
        assert (tmp_path / "config.yaml").read_text() == "mine"
        assert not (tmp_path / "examples").exists()

    def test_never_mixes_with_a_data_folder(self, tmp_path: Path) -> None:
        (tmp_path / "examples" / "shop").mkdir(parents=True)
        with pytest.raises(AudienceSyncError, match=r"shop exists already\. Nothing was copied"):
            copy_project_template(tmp_path)
        assert [path.name for path in tmp_path.rglob("*")] == ["examples", "shop"]

    def test_never_follows_a_link_that_stands_for_the_config(self, tmp_path: Path) -> None:
        (tmp_path / "config.yaml").symlink_to(tmp_path / "elsewhere.yaml")
        with pytest.raises(AudienceSyncError, match="exists already"):
            copy_project_template(tmp_path)
        assert not (tmp_path / "elsewhere.yaml").exists()

    def test_says_so_when_the_target_is_no_folder(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(AudienceSyncError, match=r"can't be copied into .*file"):
            copy_project_template(tmp_path / "file")

    def test_gives_files_that_can_be_edited_though_the_installed_ones_are_read_only(
        self, tmp_path: Path, installed: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (installed / "example" / "config.yaml").chmod(0o444)
        monkeypatch.setattr(starter, "example_folder", lambda: installed / "example")
        config, *_ = copy_project_template(tmp_path / "project")
        assert config.stat().st_mode & 0o200

    @pytest.fixture
    def installed(self, tmp_path: Path) -> Path:
        """A package as a wheel lays it out."""
        package = tmp_path / "site-packages" / "audience_sync"
        shutil.copytree(SHOP, package / "example" / "examples" / "shop")
        shutil.copy(ROOT / "config.yaml", package / "example" / "config.yaml")
        return package


class TestFindingTheExample:
    @pytest.mark.parametrize(
        ("files", "found"),
        [
            (
                ["audience_sync/example/config.yaml", "audience_sync/example/examples/shop/a.csv"],
                "audience_sync/example",
            ),
            (["config.yaml", "examples/shop/a.csv"], "."),
            (
                [
                    "config.yaml",
                    "examples/shop/a.csv",
                    "audience_sync/example/config.yaml",
                    "audience_sync/example/examples/shop/a.csv",
                ],
                "audience_sync/example",
            ),
        ],
        ids=["installed from a wheel", "a checkout", "the package's own comes first"],
    )
    def test_looks_in_the_package_and_beside_it(self, tmp_path: Path, files: list[str], found: str) -> None:
        for name in files:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        assert example_folder(tmp_path / "audience_sync") == tmp_path / found

    def test_says_so_when_the_installation_has_none(self, tmp_path: Path) -> None:
        with pytest.raises(AudienceSyncError, match="is missing in this installation"):
            example_folder(tmp_path / "audience_sync")

    def test_the_wheel_takes_the_example_to_where_it_is_looked_for(self) -> None:
        pyproject = (ROOT / "pyproject.toml").read_text("utf-8")
        assert '"config.yaml" = "audience_sync/example/config.yaml"' in pyproject
        assert '"examples/shop" = "audience_sync/example/examples/shop"' in pyproject


def test_the_copies_are_for_their_owner_alone(tmp_path: Path) -> None:
    assert {stat.S_IMODE(each.stat().st_mode) for each in copy_project_template(tmp_path)} == {0o600}
