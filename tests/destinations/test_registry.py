"""The registry lists all protocols, and a broken one of another package has its own error."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from audience_sync.destinations import registry
from audience_sync.destinations.file import FileDestination
from audience_sync.destinations.registry import destination_types, profile_fields
from audience_sync.destinations.segment.destination import SegmentDestination
from audience_sync.destinations.segment.rudderstack import RudderStackDestination
from audience_sync.destinations.webhook.destination import WebhookDestination
from audience_sync.destinations.zendesk_connect.destination import ZendeskConnectDestination
from audience_sync.errors import AudienceSyncError


def test_our_own_are_found_by_their_names() -> None:
    found = destination_types()
    assert found["file"] is FileDestination
    assert found["segment"] is SegmentDestination
    assert found["rudderstack"] is RudderStackDestination
    assert found["webhook"] is WebhookDestination
    assert found["zendesk_connect"] is ZendeskConnectDestination


BROKEN = [
    pytest.param(
        ["no_such_package:It"],
        "destination type 'mine' of an unknown package can't be loaded from no_such_package:It: "
        "ModuleNotFoundError: No module named 'no_such_package'. Repair or uninstall that package",
        id="its module is missing",
    ),
    pytest.param(
        ["json:loads"],
        "destination type 'mine' of an unknown package can't be loaded from json:loads: "
        "it is not a subclass of Destination. Repair or uninstall that package",
        id="it is something else",
    ),
    pytest.param(
        [
            "audience_sync.destinations.file:FileDestination",
            "audience_sync.destinations.segment.destination:SegmentDestination",
        ],
        "two packages define a destination type 'mine' "
        "(one is audience_sync.destinations.segment.destination:SegmentDestination). Uninstall one",
        id="two have one name",
    ),
]


@pytest.mark.parametrize(("values", "message"), BROKEN)
def test_a_broken_one_is_named(monkeypatch: pytest.MonkeyPatch, values: list[str], message: str) -> None:
    entries = [EntryPoint("mine", value, registry.GROUP) for value in values]
    monkeypatch.setattr(registry, "_installed", lambda: entries)
    with pytest.raises(AudienceSyncError) as error:
        destination_types()["mine"]
    assert str(error.value) == message


def test_a_broken_one_does_not_keep_others_from_their_work(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = EntryPoint("file", "audience_sync.destinations.file:FileDestination", registry.GROUP)
    broken = EntryPoint("mine", "no_such_package:It", registry.GROUP)
    monkeypatch.setattr(registry, "_installed", lambda: [ours, broken])
    found = destination_types()
    assert (found["file"], list(found), "mine" in found, "yours" in found) == (
        FileDestination,
        ["file", "mine"],
        True,
        False,
    )
    with pytest.raises(KeyError):
        found["yours"]


def test_the_profile_fields_of_several_are_put_together() -> None:
    fields = profile_fields([FileDestination, SegmentDestination, ZendeskConnectDestination])
    assert {"email", "createdat", "devicetoken"} <= fields
    assert profile_fields([FileDestination]) == frozenset()
