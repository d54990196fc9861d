"""What is sent again when a property gets another name, hash, id or treatment of lost values at a destination."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from audience_sync.config.sections.base import DestinationOptions
from audience_sync.delivery.mapping import mapping_of, sent_form
from audience_sync.delivery.state.cursors import DeliveryCursor, DestinationState, Subscription
from audience_sync.delivery.state.sent_form import SentForm
from audience_sync.delivery.state.subscriptions import forget_ended_names, send_in_form
from audience_sync.model import RunId

from .scripted_destination import ScriptedDestination

RUN = RunId(10)
FIRST_SENT = {"vip": RunId(1)}
GOLD = SentForm(name="gold")


def state(form: SentForm, *, since_run: int = 1, position: int = 9, previously: int | None = None) -> DestinationState:
    """A destination that has been sent everything up to the run ``position``."""
    vip = Subscription(key="vip", since_run=since_run, previously_delivered_run=previously, sent_as=form.text)
    return DestinationState(
        name="braze", id=1, cursor=DeliveryCursor(id=1, position=position), subscriptions={"vip": vip}
    )


@pytest.mark.parametrize(
    ("before", "wanted", "after"),
    [
        pytest.param(SentForm(), GOLD, SentForm(name="gold", former=("vip",)), id="another name ends the former one"),
        pytest.param(GOLD, SentForm(), SentForm(former=("gold",)), id="its key again"),
        pytest.param(SentForm(), SentForm(hashed=True), SentForm(hashed=True), id="a hash"),
        pytest.param(GOLD, replace(GOLD, user_id="email"), replace(GOLD, user_id="email"), id="another id of the user"),
        pytest.param(
            GOLD,
            SentForm(name="platinum", user_id="email"),
            SentForm(name="platinum", user_id="email"),
            id="under another id no name ends",
        ),
    ],
)
def test_in_another_form_everything_is_sent_again(before: SentForm, wanted: SentForm, after: SentForm) -> None:
    vip = send_in_form(state(before), {"vip": wanted}, FIRST_SENT, RUN).subscriptions["vip"]
    assert (vip.since_run, vip.backfill, vip.previously_delivered_run) == (10, True, 1)
    assert vip.form == after


@pytest.mark.parametrize(
    ("name", "former"),
    [("platinum", ("vip", "gold")), (None, ("gold",))],
    ids=["a third name", "the first name again"],
)
def test_a_name_that_is_not_everywhere_yet_ends_with_those_before_it(name: str | None, former: tuple[str, ...]) -> None:
    renamed = state(SentForm(name="gold", former=("vip",)), since_run=9, position=7, previously=1)
    vip = send_in_form(renamed, {"vip": SentForm(name=name)}, FIRST_SENT, RUN).subscriptions["vip"]
    assert vip.form == SentForm(name=name, former=former)


def test_a_name_that_has_ended_everywhere_does_not_end_again() -> None:
    renamed = state(SentForm(name="gold", former=("vip",)), since_run=9, position=9, previously=1)
    vip = send_in_form(renamed, {"vip": SentForm(name="platinum")}, FIRST_SENT, RUN).subscriptions["vip"]
    assert vip.form == SentForm(name="platinum", former=("gold",))


def test_a_property_that_was_never_sent_only_gets_its_form() -> None:
    new = state(SentForm(), since_run=9, position=8)
    vip = send_in_form(new, {"vip": GOLD}, FIRST_SENT, RUN).subscriptions["vip"]
    assert vip == Subscription(key="vip", since_run=9, sent_as=GOLD.text)


def test_what_is_skipped_from_now_on_is_not_sent_again() -> None:
    vip = send_in_form(state(SentForm()), {"vip": SentForm(skips_null_since=RUN)}, FIRST_SENT, RUN).subscriptions["vip"]
    assert vip == Subscription(key="vip", since_run=1, sent_as=SentForm(skips_null_since=RUN).text)


def test_a_change_of_nothing_keeps_since_when_lost_values_are_skipped() -> None:
    skipping = state(SentForm(skips_null_since=RunId(5)))
    assert send_in_form(skipping, {"vip": SentForm(skips_null_since=RUN)}, FIRST_SENT, RUN) == skipping


def test_after_skipping_the_changes_made_meanwhile_are_sent() -> None:
    skipping = state(SentForm(skips_null_since=RunId(5)))
    vip = send_in_form(skipping, {"vip": SentForm()}, FIRST_SENT, RUN).subscriptions["vip"]
    assert vip == Subscription(key="vip", since_run=10, backfill=False, previously_delivered_run=4)


def test_another_identifier_sends_nothing_again() -> None:
    wanted = SentForm(identifiers=("email",))
    vip = send_in_form(state(SentForm()), {"vip": wanted}, FIRST_SENT, RUN).subscriptions["vip"]
    assert vip == Subscription(key="vip", since_run=1, sent_as=wanted.text)


def test_an_ended_subscription_keeps_its_form() -> None:
    known = state(SentForm()).subscriptions["vip"]
    ended = replace(state(SentForm()), subscriptions={"vip": replace(known, ended_run=8)})
    assert send_in_form(ended, {"vip": GOLD}, FIRST_SENT, RUN) == ended


@pytest.mark.parametrize(("position", "former"), [(8, ("vip",)), (9, ())])
def test_a_former_name_is_forgotten_when_everyone_has_the_new_one(position: int, former: tuple[str, ...]) -> None:
    renamed = state(SentForm(name="gold", former=("vip",)), since_run=9, position=position)
    assert forget_ended_names(renamed).subscriptions["vip"].form == SentForm(name="gold", former=former)


@pytest.mark.parametrize("form", [SentForm(), SentForm(name="Gültig", hashed=True, former=("a", "b"), id_kind="alias")])
def test_a_form_is_read_as_it_was_stored(form: SentForm) -> None:
    assert SentForm.of(form.text) == form


@pytest.mark.parametrize(
    ("key", "is_trait", "form"),
    [
        ("plan", True, SentForm(name="tier", hashed=True, skips_null_since=RUN)),
        ("vip", False, SentForm()),  # `false` of an audience is always sent
    ],
)
def test_the_form_of_a_property_is_that_of_the_options(key: str, is_trait: bool, form: SentForm) -> None:
    options = DestinationOptions(type="file", rename={"plan": "tier"}, hash=["plan"], on_null="skip")
    assert sent_form(options, key, RUN, is_trait=is_trait) == form


def test_a_property_keeps_its_name_until_a_run_has_accepted_another_one() -> None:
    destination = ScriptedDestination(rename={"vip": "platinum"})
    kept = Subscription(key="vip", since_run=1, sent_as=GOLD.text)
    assert mapping_of(destination).name_of("vip") == "platinum"
    assert mapping_of(destination, [kept]).name_of("vip") == "gold"
    assert mapping_of(destination, [replace(kept, ended_run=3)]).name_of("vip") == "platinum"
