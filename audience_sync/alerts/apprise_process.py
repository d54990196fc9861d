"""Send one message through Apprise: JSON on stdin, the outcome as the exit code. Runs in a process of its own."""

from __future__ import annotations

import json
import sys

ACCEPTED, NOT_ACCEPTED, NOT_SUPPORTED = 0, 10, 11
#: The problem with an address, by exit code.
PROBLEMS = {
    ACCEPTED: None,
    NOT_ACCEPTED: "did not accept the message",
    NOT_SUPPORTED: "is not an address that Apprise supports (its documentation has the forms of addresses)",
}


def main() -> int:
    from apprise import Apprise, NotifyType

    message = json.load(sys.stdin)
    one = Apprise()
    if not one.add(message["address"]):
        return NOT_SUPPORTED
    kind = NotifyType.SUCCESS if message["is_good"] else NotifyType.WARNING
    is_accepted = one.notify(title=message["title"], body=message["body"], notify_type=kind)
    return ACCEPTED if is_accepted else NOT_ACCEPTED


if __name__ == "__main__":
    sys.exit(main())
