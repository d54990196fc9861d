"""Comment on a pull request of GitHub what a run would do with its config; for the action of this repository.

``python -m audience_sync.integrations.github --config config.yaml [--env NAME]``, in a job of GitHub Actions. The
comment has counts and names no user.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import requests

from audience_sync.errors import AudienceSyncError
from audience_sync.text import duration, pluralize

if TYPE_CHECKING:
    from audience_sync import Plan

#: Identifies our comment, so that there is one for each config and environment, whose text changes.
_MARK = "<!-- audience-sync plan: {config} {env} -->"
_SECONDS = 30
#: Characters of a comment: GitHub accepts 65,536.
_MOST = 60_000


def main(arguments: Sequence[str] | None = None, variables: Mapping[str, str] = os.environ) -> int:
    """Make the plan and publish it. Returns the exit code of ``audience-sync plan``."""
    parser = argparse.ArgumentParser(prog="python -m audience_sync.integrations.github", description=__doc__)
    parser.add_argument("--config", default="config.yaml")
    parser.add_argument("--env", default="")
    given = parser.parse_args(arguments)
    code, text = plan_text(given.config, given.env or None)
    mark = _MARK.format(config=given.config, env=given.env)
    comment = f"{mark}\n{text}"[:_MOST]
    if summary := variables.get("GITHUB_STEP_SUMMARY"):
        _append(summary, f"{text}\n")
    if output := variables.get("GITHUB_OUTPUT"):
        _append(output, f"exit-code={code}\n")
    print(text)
    if problem := publish(mark, comment, variables):
        print(f"::warning title=Audience Sync::{problem}")
    return code


def plan_text(config: str, env: str | None) -> tuple[int, str]:
    """The exit code and the text in Markdown of a plan, or of the error that prevents it."""
    from audience_sync import Project

    title = f"### Audience Sync: plan for `{config}`{f' ({env})' if env else ''}"
    try:
        with Project.open(config, env=env) as project:
            plan = project.plan()
    except AudienceSyncError as error:
        reason = "\n".join(f"    {line}" for line in str(error).splitlines())
        return error.exit_code, f"{title}\n\nThere is no plan:\n\n{reason}"
    return plan.exit_code, "\n".join([title, "", *_lines(plan)])


def _lines(plan: Plan) -> Iterator[str]:
    changes = [each for each in plan.audiences if each.entered or each.left or each.status.value == "created"]
    unchanged = sum(each.status.value == "unchanged" for each in plan.audiences)
    calls = sum(each.calls for each in plan.destinations)
    if plan.does_something:
        yield f"A run would send **{pluralize(calls, 'identify call')}**. Nothing was changed or sent."
    else:
        yield "A run would change nothing and send nothing."
    if changes:
        yield from (
            "",
            "| audience | status | members now | entered | left | members then |",
            "|---|---|--:|--:|--:|--:|",
        )
        for each in changes:
            counts = " | ".join(f"{n:,}" for n in (each.members_before, each.entered, each.left, each.members))
            yield f"| `{each.key}` | {each.status.value} | {counts} |"
    if unchanged:
        yield from ("", f"{pluralize(unchanged, 'audience')} unchanged.")
    traits = plan.traits
    if traits.changed:
        yield from ("", f"Computed traits: {traits.changed:,} of {pluralize(traits.users, 'user')} change.")
    sending = [each for each in plan.destinations if each.calls]
    if sending:
        yield from ("", "| destination | calls | requests | time at the rate limit |", "|---|--:|--:|--:|")
        for one in sending:
            time = "" if one.seconds is None else duration(one.seconds)
            yield f"| {_cell(one.destination)} | {one.calls:,} | {one.requests:,} | {time} |"
    held = [change for change in (*(each.held for each in plan.audiences), *traits.held) if change]
    failed = [each.error for each in plan.audiences if each.status.value == "failed" and each.error]
    reasons = {
        "A guard would hold": [each.reason for each in held],
        "Can't be loaded": [*failed, *traits.errors],
        "Note": plan.warnings,
    }
    for label, texts in reasons.items():
        for text in texts:
            yield from ("", f"**{label}:** {_cell(text)}")


def _cell(text: str) -> str:
    """Text that Markdown and HTML do not read as theirs."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{sign}" if sign in "|*_`[]@" else sign for sign in plain)


def publish(mark: str, comment: str, variables: Mapping[str, str]) -> str | None:
    """Write the comment, or replace the one with this mark. Returns why that was not possible.

    Outside of a pull request, or without a token, there is nothing to do. The token of a pull request from a fork may
    only read: then the summary of the job has the plan.
    """
    number, token = _pull_request(variables), variables.get("GITHUB_TOKEN")
    if number is None or not token:
        return None
    issues = (
        f"{variables.get('GITHUB_API_URL', 'https://api.github.com')}/repos/{variables['GITHUB_REPOSITORY']}/issues"
    )
    try:
        with requests.Session() as session:
            session.headers.update({"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"})
            url, method = f"{issues}/{number}/comments", "POST"
            if (found := _find_comment(session, url, mark)) is not None:
                url, method = f"{issues}/comments/{found}", "PATCH"
            answer = session.request(method, url, json={"body": comment}, timeout=_SECONDS)
            answer.raise_for_status()
    except requests.HTTPError as error:
        status = error.response.status_code
        return f"the comment can't be written: GitHub answered {status}. The job needs `pull-requests: write`."
    except requests.RequestException as error:
        return f"the comment can't be written: {type(error).__name__}"
    return None


def _pull_request(variables: Mapping[str, str]) -> int | None:
    """The number of the pull request that the job is for."""
    path = variables.get("GITHUB_EVENT_PATH")
    if not path or not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        event = json.load(file)
    number = (event.get("pull_request") or {}).get("number")
    return int(number) if number else None


def _find_comment(session: requests.Session, url: str, mark: str) -> int | None:
    """The id of our comment. GitHub lists 100 comments a page."""
    page = 1
    while True:
        answer = session.get(url, params={"per_page": 100, "page": page}, timeout=_SECONDS)
        answer.raise_for_status()
        comments: list[dict[str, Any]] = answer.json()
        for each in comments:
            if str(each.get("body") or "").startswith(mark):
                return int(each["id"])
        if len(comments) < 100:
            return None
        page += 1


def _append(path: str, text: str) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    sys.exit(main())
