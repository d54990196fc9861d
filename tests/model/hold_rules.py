"""Let a person decide about holds: run the commands of the message, or correct the source."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from .commands import KILLED, POINTS
from .project_files import ProjectFiles

#: Stands for the command that the last output offers.
APPROVE, REJECT = ("approve",), ("reject",)
#: Make a plan, and carry it out.
PLANNED = ("sync", "--plan", "plan.json")
_COMMANDS = re.compile(r"audience-sync (approve|reject) (\d+) (\w+)")
CRASHES = st.none() | st.tuples(st.sampled_from(sorted(POINTS)), st.integers(1, 4))


def offered_commands(output: str) -> list[tuple[str, ...]]:
    """The commands that an output offers, each once: stderr may repeat them."""
    return list(dict.fromkeys(_COMMANDS.findall(output)))


class HoldRules(ProjectFiles):
    """Rules about holds. The methods without a body are those of the whole machine."""

    erased: set[str]
    frozen: dict[str, frozenset[str]]
    #: The output of the last command.
    last_output = ""

    def run_command(self, *command: str, crash: tuple[str, int] | None = None) -> Any:
        raise NotImplementedError

    def sent_members(self, key: str) -> frozenset[str]:
        """The users who are sent as members of an audience that is not frozen."""
        raise NotImplementedError

    def everything_is_sent(self) -> None:
        raise NotImplementedError

    def check(self) -> None:
        raise NotImplementedError

    def messages(self) -> int:
        raise NotImplementedError

    def end_min_stay(self) -> None:
        """Make the two runs for which missing members of `buyers` stay."""
        self.run_successfully("sync")
        self.run_successfully("sync")

    def resolve_command(self, command: tuple[str, ...]) -> tuple[str, ...]:
        """The command to run: for a decision the one offered last, or a run that may offer one."""
        if command == PLANNED:
            self.run_command("plan", "--out", "plan.json")
        if command not in (APPROVE, REJECT):
            return command
        return next((each for each in offered_commands(self.last_output) if each[:1] == command), ("sync",))

    def run_successfully(self, *command: str) -> None:
        ended = self.run_command(*command)
        assert ended.code == 0, ended

    def run_and_approve(self, *command: str) -> Any:
        """Make a run, and approve what it holds, until a run holds nothing more."""
        ended = self.run_command(*command)
        for _ in range(4):
            if ended.code != 4:
                return ended
            for each in offered_commands(ended.output):
                if each[0] == "approve":
                    approval = self.run_command(*each)
                    assert approval.code in ((0, 1, 2, 4) if self.group else (0, 1, 4)), approval
            ended = self.run_command(*command)
        return ended

    @rule(
        key=st.sampled_from(["vip", "buyers"]),
        is_empty=st.booleans(),
        decision=st.sampled_from(["approve", "approve another", "reject", "none"]),
        crash=CRASHES,
        later_crash=CRASHES,
    )
    def a_snapshot_is_wrong(
        self,
        key: str,
        is_empty: bool,
        decision: str,
        crash: tuple[str, int] | None,
        later_crash: tuple[str, int] | None,
    ) -> None:
        """Write a wrong snapshot: it is held, and nothing of it is sent until a person approves it."""
        self.everything_is_sent()
        whole = sorted(self.sent_members(key) - self.erased)
        if not whole or key in self.frozen:
            return
        empty, less = list[str](), whole[: (len(whole) - 1) // 2]
        wrong, another = (empty, less) if is_empty else (less, empty)
        before = self.messages()
        held = self._sync_and_hold(key, wrong, crash)
        if decision == "approve another" and less:
            wrong = another
            self.write_members(key, wrong)
            held = self.run_command("approve", held[1], key)
            assert held.code == 4, held
            held = self._approval(held.output, key)
        if decision.startswith("approve"):
            self._approve(key, wrong, held, later_crash)
            return
        if decision == "reject":
            self._decide("reject", held[1], key, crash=later_crash)
            self._sync_and_hold(key, wrong, None)
        self.write_members(key, self.members[key])
        self.run_successfully("sync")
        assert self.messages() == before, "something was sent of a snapshot that was held"
        self.check()

    def _sync_and_hold(self, key: str, wrong: list[str], crash: tuple[str, int] | None) -> tuple[str, ...]:
        """Make a run that has to hold this snapshot. Returns the arguments of the command that approves it."""
        before = self.messages()
        self.write_members(key, wrong)
        ended = self.run_command("sync", crash=crash)
        if ended.code == KILLED:
            ended = self.run_command("sync")
        assert ended.code == 4, ended
        assert self.messages() == before, "something was sent of a snapshot that is held"
        self.check()
        return self._approval(ended.output, key)

    def _approval(self, output: str, key: str) -> tuple[str, ...]:
        return next(command for command in offered_commands(output) if (command[0], command[2]) == ("approve", key))

    def _approve(self, key: str, wrong: list[str], held: tuple[str, ...], crash: tuple[str, int] | None) -> None:
        self._decide(*held, crash=crash)
        self.members = {**self.members, key: frozenset(wrong)}
        self.end_min_stay()
        self.check()

    def _decide(self, *command: str, crash: tuple[str, int] | None) -> None:
        """Decide once; a repeat after a kill may find that it was done."""
        ended = self.run_command(*command, crash=crash)
        if ended.code == KILLED:
            ended = self.run_command(*command)
            assert ended.code in (0, 2), ended  # 2: the one that was killed had been done
            return
        assert ended.code == 0, ended
