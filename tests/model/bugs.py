"""Plant bugs into a command, to see that the model finds them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace


def position_ahead_of_the_answers() -> None:
    """A batch without an answer moves the position like one that has one."""
    from audience_sync.delivery import deliver

    acknowledge = deliver.acknowledge

    def bad(lease: Any, cursor: Any, results: Any, recorder: Any) -> Any:
        for result in results:
            result.answered = True
        return acknowledge(lease, cursor, results, recorder)

    deliver.acknowledge = bad


def leavers_are_forgotten() -> None:
    """A diff finds users who entered, and none who left."""
    from audience_sync.sync.detect import audiences

    diff_members = audiences.diff_members

    def bad(workspace: Any, *arguments: Any, **options: Any) -> Any:
        diff, entered = diff_members(workspace, *arguments, **options), workspace.name("entered")
        workspace.run(f"create view {entered} as from {diff.table} where present")
        return replace(diff, table=entered, left=0)

    audiences.diff_members = bad


def a_new_message_id_for_every_attempt() -> None:
    """A receiver can't distinguish a repeat from a new call."""
    from uuid import uuid4

    from audience_sync.delivery.send import calls
    from audience_sync.sql import Query

    rows = calls.CallReader._rows
    calls.CallReader._rows = lambda reader, table: Query(rows(reader, table).replace("sha1(", f"sha1('{uuid4()}' || "))


def refusals_are_forgotten() -> None:
    """A refused call counts as sent and isn't kept."""
    from audience_sync.delivery.send.acknowledge import AnswerRecorder

    AnswerRecorder._record_refusals = lambda *arguments: None


def suppressed_users_are_sent() -> None:
    """Suppressed users are sent like all others: neither the pending calls nor a sender leave them out."""
    from audience_sync.delivery.send.request_sender import RequestSender
    from audience_sync.sync.deliver import pending as pending_module

    pending_calls = pending_module.pending_calls

    def bad(workspace: Any, inputs: Any, cursor: Any, subscriptions: Any, options: Any) -> Any:
        workspace.run(f"create table {options.withheld_table} (user_id varchar, key varchar)")
        return pending_calls(workspace, replace(inputs, suppressed=None), cursor, subscriptions, options)

    pending_module.pending_calls = bad
    RequestSender.without_suppressed = lambda sender, calls, result=None: calls


def guards_are_asleep() -> None:
    """Every snapshot passes the guard."""
    from audience_sync.sync.detect import guard_diffs

    guard_diffs.audience_reason = lambda *arguments, **options: None


def approval_is_blind() -> None:
    """An approved snapshot passes, though its source has changed since."""
    from audience_sync.sync.guard import holds

    holds._is_same = lambda *arguments: True


def held_snapshots_are_accepted() -> None:
    """A snapshot is reported as held, and accepted anyway."""
    from audience_sync.sync.detect import guard_diffs as guarding

    hold = guarding._hold

    def bad(context: Any, each: Any, *arguments: Any) -> Any:
        return replace(hold(context, each, *arguments), changes=guarding._accept(context, each, each.source).changes)

    guarding._hold = bad


def freezes_are_forgotten() -> None:
    """A frozen audience is synced like the others."""
    from audience_sync.sync.values import stored_state as stored

    stored.read_frozen = lambda *arguments: {}


def missing_members_leave_at_once() -> None:
    """A missing member leaves at once, in spite of `min_stay`."""
    from audience_sync.sql import Query
    from audience_sync.sync.detect import audiences
    from audience_sync.sync.diff.min_stay import DelayedExits

    audiences.apply_min_stay = lambda context, target, diff, **options: DelayedExits(
        diff, Query(f"from {diff.table}"), diff.left
    )


def holdouts_are_ignored() -> None:
    """Held-out users are sent anyway."""
    from audience_sync.sync.diff import holdout

    holdout.is_held_out = lambda *arguments: "false"


def members_are_never_held_out() -> None:
    """A larger holdout holds no user out who is already a member."""
    from audience_sync.sync.diff import holdout

    holdout.current_rows_query = lambda chain: "select null::varchar as user_id where false"


def a_user_is_in_all_audiences_of_a_group() -> None:
    """Audiences of a priority group have no order."""
    from audience_sync.sync.detect import audiences

    audiences.claimed_users = lambda *arguments: None


def leavers_of_the_first_audience_of_a_group_are_overlooked() -> None:
    """Later audiences of a group are not loaded again when an earlier one has changed."""
    from audience_sync.sync.detect import audiences

    claims_of = audiences.claims_of
    audiences.claims_of = lambda *arguments: claims_of(*arguments)._replace(version="as ever")


def undone_changes_are_repeated() -> None:
    """The next run accepts the undone changes from the source again."""
    from audience_sync.sync.guard.holds import ComparedDifference

    ComparedDifference.undone_runs = property(lambda compared: None)


def undo_overwrites_newer_changes() -> None:
    """An undo reverses all changes of a run, though a later run changed some again."""
    from audience_sync.sync.operations.undo import RevertibleChange

    RevertibleChange.rows = property(lambda change: f"select user_id, value, before from {change.table}")


def retired_keys_are_forgotten() -> None:
    """Destinations are no longer sent the exits of a retired key."""
    from audience_sync.sync.deliver import subscriptions as subscribing

    def bad(state: Any, closed: Any, run: int) -> Any:
        kept = {key: each for key, each in state.subscriptions.items() if key not in closed}
        return replace(state, subscriptions=kept)

    subscribing.keep_retired = bad


def the_old_key_stays_true() -> None:
    """An audience gets another key, and its members keep the old one."""
    from audience_sync.sync.operations import move_key as move

    change = move.ChainChange
    move.ChainChange = lambda **fields: replace(change(**fields), log=None, members=None)


def a_previous_id_is_still_sent() -> None:
    """Pending calls of a previous id are sent, though it was merged."""
    from audience_sync.delivery.pending import values

    values._remove_merged_ids = lambda workspace, items, backfills, inputs: backfills


def exits_of_previous_ids_are_lost() -> None:
    """A user who left under a previous id stays a member where the ids were merged."""
    from audience_sync.sync.operations import merge_users

    merge_users.carry_over = lambda context, changes, *arguments: changes


def refusals_by_item_are_ignored() -> None:
    """A success counts for all of its messages, also for those that it names as refused."""
    from audience_sync.destinations.json_api.destination import JsonApiDestination

    judge = JsonApiDestination.judge
    JsonApiDestination.judge = lambda destination, *arguments: replace(judge(destination, *arguments), refused={})


def half_of_a_divided_batch_is_dropped() -> None:
    """Only the first half of a batch that was too large is sent."""
    from audience_sync.delivery.send.batch_sender import BatchSender

    send_once = BatchSender._send_once

    def bad(sender: Any, *arguments: Any) -> Any:
        shares = send_once(sender, *arguments)
        return shares[:1] if len(shares) == 2 else shares

    BatchSender._send_once = bad


def a_text_stays_a_boolean() -> None:
    """A vendor that stores texts is sent booleans."""
    from audience_sync.destinations.json_api.destination import JsonApiDestination
    from audience_sync.destinations.json_api.values import ValueTypes

    write = ValueTypes.write
    ValueTypes.write = lambda types, value: value if value in ("true", "false") else write(types, value)
    JsonApiDestination.encode_sql = lambda destination: None


def a_former_name_keeps_its_value() -> None:
    """A rename sends the new name, and does not end the old one."""
    from audience_sync.delivery.mapping import DestinationMapping

    DestinationMapping._ended = lambda *arguments: ()


def a_change_of_a_mapping_is_overlooked() -> None:
    """Properties stay as they were first sent."""
    from audience_sync.delivery.state.sent_form import SentForm

    SentForm.is_same = lambda *arguments: True


def a_new_id_is_sent_only_what_changed() -> None:
    """A user whose id at a destination changes has no other values there."""
    from audience_sync.delivery.pending import values

    values.add_values_under_new_ids = lambda *arguments, **options: None


def every_trait_goes_everywhere() -> None:
    """A destination is sent traits that the config keeps from it."""
    from audience_sync.config.models import Settings

    Settings.traits_of = lambda settings, name: [key for each in settings.computed_traits for key in each.columns]


def a_refused_rename_is_forgotten() -> None:
    """A refused call ends no former name when it is sent again."""
    from audience_sync.delivery.send.acknowledge import AnswerRecorder

    rows = AnswerRecorder._value_rows

    def bad(recorder: Any, *arguments: Any) -> Any:
        return [{**row, "former_names": None} for row in rows(recorder, *arguments)]

    AnswerRecorder._value_rows = bad


WRONG, FROZEN, MISSING, UNDONE, HELD_OUT, GROUPED, ALIASED, MAPPED, REFUSED_RENAME, TOO_LARGE = (
    (name,)
    for name in (
        "a_snapshot_is_wrong",
        "an_audience_is_frozen",
        "a_member_is_missing_for_a_moment",
        "a_run_is_undone",
        "a_share_is_held_out",
        "audiences_are_a_group",
        "a_user_gets_another_id",
        "a_mapping_changes",
        "a_rename_is_refused",
        "requests_are_too_large",
    )
)
#: The rules above that come without days check everything themselves.
DAYS = ("monday", "everything_goes_well")
#: Each bug, and the rules that must find it.
BUGS: dict[Callable[[], None], tuple[str, ...]] = {
    position_ahead_of_the_answers: DAYS,
    leavers_are_forgotten: DAYS,
    a_new_message_id_for_every_attempt: DAYS,
    refusals_are_forgotten: DAYS,
    suppressed_users_are_sent: ("a_user_is_suppressed", *DAYS),
    guards_are_asleep: WRONG,
    approval_is_blind: WRONG,
    held_snapshots_are_accepted: WRONG,
    freezes_are_forgotten: (*FROZEN, *DAYS),
    missing_members_leave_at_once: MISSING,
    holdouts_are_ignored: (*HELD_OUT, *DAYS),
    members_are_never_held_out: (*HELD_OUT, *DAYS),
    a_user_is_in_all_audiences_of_a_group: (*GROUPED, *DAYS),
    leavers_of_the_first_audience_of_a_group_are_overlooked: (*GROUPED, *DAYS),
    undone_changes_are_repeated: UNDONE,
    undo_overwrites_newer_changes: UNDONE,
    retired_keys_are_forgotten: DAYS,
    the_old_key_stays_true: DAYS,
    a_previous_id_is_still_sent: (*ALIASED, *DAYS),
    exits_of_previous_ids_are_lost: (*ALIASED, *DAYS),
    refusals_by_item_are_ignored: DAYS,
    half_of_a_divided_batch_is_dropped: TOO_LARGE,
    a_text_stays_a_boolean: DAYS,
    a_former_name_keeps_its_value: (*MAPPED, *DAYS),
    a_change_of_a_mapping_is_overlooked: (*MAPPED, *DAYS),
    a_new_id_is_sent_only_what_changed: (*MAPPED, *DAYS),
    every_trait_goes_everywhere: (*MAPPED, *DAYS),
    a_refused_rename_is_forgotten: REFUSED_RENAME,
}
#: The types of the destinations where a bug shows only at vendors.
VENDORS: dict[Callable[[], None], tuple[str, str]] = {
    refusals_by_item_are_ignored: ("braze", "iterable"),
    half_of_a_divided_batch_is_dropped: ("braze", "hubspot"),
    a_text_stays_a_boolean: ("hubspot", "segment"),
}


def plant(bug: str) -> None:
    """Plant a bug. Raises LookupError if it sets an attribute that the program does not have."""
    before = _attributes()
    next(each for each in BUGS if each.__name__ == bug)()
    if unknown := _attributes() - before:
        raise LookupError(f"{bug} sets what the program does not have: {sorted(unknown)}")


def _attributes() -> set[tuple[str, str]]:
    """The attributes of all modules and classes of the program, which are imported already."""
    modules = [module for name, module in sorted(sys.modules.items()) if name.startswith("audience_sync")]
    classes = [each for module in modules for each in vars(module).values() if isinstance(each, type)]
    owners: list[Any] = [*modules, *(each for each in classes if each.__module__.startswith("audience_sync"))]
    return {(getattr(owner, "__qualname__", owner.__name__), name) for owner in owners for name in vars(owner)}
