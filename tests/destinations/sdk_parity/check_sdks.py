"""Compare what the SDKs and audience-sync send to a recorder: ``check_sdks PYTHON``, which has audience-sync.

In an environment with the SDKs (see .ci/run).
"""

from __future__ import annotations

import importlib.metadata
import json
import logging
import subprocess
import sys

from destinations.receiver import Received, Receiver, Reply
from destinations.sdk_parity.differences import NAMED, TRANSLATIONS, Kind, differences, generalised, parsed
from destinations.sdk_parity.facts import ANSWERS, FACTS, Fact, slug
from destinations.sdk_parity.sdks import SDKS


def answer(name: str) -> Reply:
    return Reply(200, json.dumps(ANSWERS[name]).encode(), {"Content-Type": "application/json"})


def requests_of_sdk(name: str, fact: Fact) -> list[Received]:
    with Receiver() as recorder:
        recorder.will_answer(answer(name))
        SDKS[name].send(recorder.url, fact)
        return recorder.requests


def requests_of_audience_sync(name: str, python: str) -> dict[str, list[Received]]:
    """Return the requests by the slug of their fact, which is the first folder of the path."""
    found: dict[str, list[Received]] = {slug(fact): [] for fact in FACTS[name]}
    with Receiver() as recorder:
        recorder.will_answer(answer(name))
        command = [python, "-m", "destinations.sdk_parity.send_facts", name, recorder.url]
        subprocess.run(command, check=True)
        for each in recorder.requests:
            _, fact, path = each.path.split("/", 2)
            found[fact].append(Received(each.method, f"/{path}", each.headers, each.body))
    return found


def problems_of(name: str, sdk: list[Received], own: list[Received], found: set[tuple[str, Kind]]) -> list[str]:
    """Return the differences without a reason. Those with one are added to ``found``."""
    named = {(each.pointer, each.kind) for each in NAMED[name]}
    problems = []
    of_sdk = [TRANSLATIONS[name](parsed(each)) for each in sdk]
    for (pointer, kind), values in differences(of_sdk, [parsed(each) for each in own]).items():
        _, _, place = pointer.split("/", 2)  # without the index of the request
        key = (generalised(f"/{place}"), kind)
        if key in named:
            found.add(key)
        else:
            problems.append(f"/{place}: {kind}: {values}")
    return problems


def check(name: str, python: str) -> int:
    """Print the vendor's line, and each problem. Return how many checks failed."""
    label, package, _ = SDKS[name]
    own, found, failed = requests_of_audience_sync(name, python), set[tuple[str, Kind]](), 0
    for fact in FACTS[name]:
        if problems := problems_of(name, requests_of_sdk(name, fact), own[slug(fact)], found):
            failed += 1
            print(f"{label}, {fact.name}:", *problems, sep="\n  ")
    if unused := [each.pointer for each in NAMED[name] if (each.pointer, each.kind) not in found]:
        failed += 1
        print(f"{label}: named and not found:", *unused, sep="\n  ")
    passed = len(FACTS[name]) + 1 - failed
    print(f"{label} SDK ({package} {importlib.metadata.version(package)}): {passed} passed, {failed} failed")
    return failed


def main(python: str) -> int:
    logging.disable(logging.WARNING)  # Mixpanel's, of the API key that its destination has
    return 1 if sum(check(name, python) for name in SDKS) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
