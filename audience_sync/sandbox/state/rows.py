"""Turn rows of the sandbox's file into values, and the filter of the feed into SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from audience_sync.sandbox.changes import Change
from audience_sync.sandbox.state.batch import json_value
from audience_sync.sandbox.state.filters import Condition, literal
from audience_sync.sandbox.state.stored import CallFilter, StoredCall, StoredRequest, StoredUser
from audience_sync.sandbox.values import Outcome, Problem


def moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def call_condition(chosen: CallFilter) -> Condition:
    parts = [Condition("1")]
    if chosen.before is not None:
        parts.append(Condition("call < ?", (chosen.before,)))
    if chosen.after is not None:
        parts.append(Condition("call > ?", (chosen.after,)))
    for column, value in (("destination", chosen.destination), ("user_id", chosen.user), ("type", chosen.type)):
        if value:
            parts.append(Condition(f"{column} = ?", (value,)))
    if chosen.answer:
        is_status = chosen.answer.isdigit()
        parts.append(Condition("status = ?" if is_status else "outcome = ?", (chosen.answer,)))
    if chosen.problem:
        sql = "exists (select 1 from json_each(problems) p where json_extract(p.value, '$[0]') = ?)"
        in_request = (
            "exists (select 1 from requests r, json_each(r.problems) p where r.request = calls.request"
            " and json_extract(p.value, '$[0]') = ?)"
        )
        parts.append(Condition(f"({sql} or {in_request})", (chosen.problem, chosen.problem)))
    if chosen.property_name or chosen.value:
        sql, parameters = "1", list[Any]()
        if chosen.property_name:
            sql += " and json_extract(c.value, '$[0]') = ?"
            parameters.append(chosen.property_name)
        if chosen.value:
            wanted = literal(chosen.value)
            if wanted is None or isinstance(wanted, bool):
                sql += " and json_type(c.value, '$[3]') = ?"
                parameters.append({None: "null", True: "true", False: "false"}[wanted])
            else:
                sql += " and json_extract(c.value, '$[3]') = ?"
                parameters.append(wanted if isinstance(wanted, int | float) else chosen.value)
        parts.append(Condition(f"exists (select 1 from json_each(changes) c where {sql})", tuple(parameters)))
    return Condition(
        " and ".join(each.sql for each in parts), tuple(value for each in parts for value in each.parameters)
    )


def stored_call(row: Sequence[Any]) -> StoredCall:
    call, request, at, destination, service, kind, user, event, outcome, status, message_id, message, changes, wrong = (
        row
    )
    return StoredCall(
        call=call,
        request=request,
        at=moment(at),
        destination=destination,
        service=service,
        type=kind,
        user_id=user,
        event=event,
        outcome=Outcome(outcome),
        status=status,
        message_id=message_id,
        message=message,
        changes=tuple(Change(*each) for each in json_value(changes)),
        problems=_problems(wrong),
    )


def _problems(text: str) -> tuple[Problem, ...]:
    return tuple(Problem(*each) for each in json_value(text))


def stored_user(row: Sequence[Any]) -> StoredUser:
    destination, user_id, properties, calls, first, last = row
    values = {name: (value, moment(at)) for name, (value, at) in json_value(properties).items()}
    return StoredUser(destination, user_id, values, calls, moment(first), moment(last))


def stored_request(row: Sequence[Any]) -> StoredRequest:
    request, at, destination, service, method, path, headers, size, calls, status, answer, sent, took, wrong, plan = row
    return StoredRequest(
        request=request,
        at=moment(at),
        destination=destination,
        service=service,
        method=method,
        path=path,
        headers=json_value(headers),
        bytes=size,
        calls=calls,
        status=status,
        answer=answer,
        answer_headers=json_value(sent),
        seconds=took,
        problems=_problems(wrong),
        plan=plan,
    )
