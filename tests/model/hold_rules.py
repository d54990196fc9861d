"""A person who decides about what is held: types what the command said, or puts the source right."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from .commands import KILLED, POINTS
from .project_files import ProjectFiles

#: An order to type what the last command offered.
APPROVE, REJECT = ("approve",), ("reject",)
#: An order to plan, and to do what was planned.
PLANNED = ("sync", "--plan", "plan.json")
_COMMANDS = re.compile(r"audience-sync (approve|reject) (\d+) (\w+)")
CRASHES = st.none() | st.tuples(st.sampled_from(sorted(POINTS)), st.integers(1, 4))


def offered(output: str) -> list[tuple[str, ...]]:
    """The commands that an output offers, each once: stderr repeats what needs a person."""
    return list(dict.fromkeys(_COMMANDS.findall(output)))


class HoldRules(ProjectFiles):
    """Of the machine it is part of it needs what is declared here."""

    erased: set[str]
    frozen: dict[str, frozenset[str]]
    #: The output of the last command.
    said = ""

    def run_command(self, *order: str, crash: tuple[str, int] | None = None) -> Any:
        raise NotImplementedError

    def sent_members(self, key: str) -> frozenset[str]:
        """Who is sent to be in an audience that is not frozen."""
        raise NotImplementedError

    def everything_is_sent(self) -> None:
        raise NotImplementedError

    def check(self) -> None:
        raise NotImplementedError

    def messages(self) -> int:
        raise NotImplementedError

    def those_who_stay_leave(self) -> None:
        """Members of `buyers` who are missing stay for two runs."""
        self.well("sync")
        self.well("sync")

    # What a person does.

    def typed(self, order: tuple[str, ...]) -> tuple[str, ...]:
        """The order; of a decision what was offered last, or a run that may offer one."""
        if order == PLANNED:
            self.run_command("plan", "--out", "plan.json")
        if order not in (APPROVE, REJECT):
            return order
        return next((command for command in offered(self.said) if command[:1] == order), ("sync",))

    def well(self, *order: str) -> None:
        ended = self.run_command(*order)
        assert ended.code == 0, ended

    def approved(self, *order: str) -> Any:
        """A run, and others until all that it holds is approved: that may have others held."""
        ended = self.run_command(*order)
        for _ in range(4):
            if ended.code != 4:
                return ended
            for command in offered(ended.output):
                if command[0] == "approve":
                    let_through = self.run_command(*command)
                    assert let_through.code in ((0, 1, 2, 4) if self.group else (0, 1, 4)), let_through
            ended = self.run_command(*order)
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
        """It is held, and nothing is sent of it until a person says so."""
        self.everything_is_sent()
        whole = sorted(self.sent_members(key) - self.erased)
        if not whole or key in self.frozen:
            return
        empty, less = list[str](), whole[: (len(whole) - 1) // 2]
        wrong, another = (empty, less) if is_empty else (less, empty)
        before = self.messages()
        held = self._held(key, wrong, crash)
        if decision == "approve another" and less:
            wrong = another
            self.write_members(key, wrong)
            held = self.run_command("approve", held[1], key)
            assert held.code == 4, held
            held = self._approval(held.output, key)
        if decision.startswith("approve"):
            self._let_through(key, wrong, held, later_crash)
            return
        if decision == "reject":
            self._decide("reject", held[1], key, crash=later_crash)
            self._held(key, wrong, None)
        self.write_members(key, self.members[key])
        self.well("sync")
        assert self.messages() == before, "something was sent of a snapshot that was held"
        self.check()

    def _held(self, key: str, wrong: list[str], crash: tuple[str, int] | None) -> tuple[str, ...]:
        """A run that finds this snapshot must hold it; returns what is to be typed to let it through."""
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
        return next(command for command in offered(output) if (command[0], command[2]) == ("approve", key))

    def _let_through(self, key: str, wrong: list[str], held: tuple[str, ...], crash: tuple[str, int] | None) -> None:
        self._decide(*held, crash=crash)
        self.members = {**self.members, key: frozenset(wrong)}
        self.those_who_stay_leave()
        self.check()

    def _decide(self, *command: str, crash: tuple[str, int] | None) -> None:
        """Decided once, however often it was typed."""
        ended = self.run_command(*command, crash=crash)
        if ended.code == KILLED:
            ended = self.run_command(*command)
            assert ended.code in (0, 2), ended  # 2: the one that was killed had been done
            return
        assert ended.code == 0, ended
