"""Show events with how often they came, and a goal: who did an event within some days."""

from __future__ import annotations

from audience_sync.sandbox.fields import number_of
from audience_sync.sandbox.pages.visit import Page, Visit
from audience_sync.sandbox.state.filters import PropertyFilter


def events_page(visit: Visit) -> Page:
    """Events of the last days, and the users that reached the goal of the address, if it has one."""
    reader, destination = visit.reader, visit.text("destination")
    start, value, goal = visit.text("start"), visit.text("start_value", "true"), visit.text("goal")
    within = number_of("within", visit.text("within", "7").strip(), 1, 3_650)
    result, words = None, ""
    if start and goal:
        kind, _, name = start.partition(":")
        began = PropertyFilter(name, value=value) if kind == "property" else None
        result = reader.goal(began, name if began is None else "", goal, within, destination)
        words = f"whose {began.words()}" if began else f"who did {name}"
    return Page(
        "sandbox_events.html",
        {
            "title": "Events",
            "here": "events",
            "destinations": reader.destinations(),
            "destination": destination,
            "events": reader.events(visit.now, destination),
            "users_of": reader.users_of_events(destination),
            "names": reader.event_names(),
            "properties": [each.property for each in reader.properties(destination)],
            "start": start,
            "start_value": value,
            "goal": goal,
            "within": within,
            "result": result,
            "words": words,
        },
    )
