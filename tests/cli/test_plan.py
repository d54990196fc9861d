"""Does `plan` say what the next `sync` does, to the call, and change nothing?"""

from __future__ import annotations

from .conftest import Project, Result

AUDIENCES = [
    {"name": "VIP", "source": "shop", "file": "vip.csv"},
    {"name": "Later", "source": "shop", "file": "vip.csv", "initial": "manual"},
    {"name": "Quiet", "source": "shop", "file": "vip.csv", "initial": "none"},
]
TRAITS = [{"source": "shop", "file": "traits.csv", "traits": ["plan"]}]
LOG = {"type": "file", "path": "calls.jsonl", "batch_size": 2}
SECOND = {"type": "file", "path": "second.jsonl", "rate_limit": "1/s"}


def forecast(plan: Result) -> list[tuple[str, int, int]]:
    return [(each["name"], each["calls"], each["requests"]) for each in plan.json["destinations"]]


def outcome(sync: Result) -> list[tuple[str, int, int]]:
    return [(each["name"], each["delivered"], each["requests"]) for each in sync.json["destinations"]]


def plan_and_sync(project: Project) -> tuple[Result, Result]:
    plan = project.run("plan", "--json")
    sync = project.sync()
    assert (plan.code, sync.code) == (0, 0)
    assert plan.json["audiences"] == sync.json["audiences"]
    assert plan.json["traits"] == sync.json["traits"]
    assert forecast(plan) == outcome(sync)
    return plan, sync


def test_a_plan_is_what_the_following_sync_does(vip: Project) -> None:
    vip.configure(audiences=AUDIENCES, computed_traits=TRAITS, destinations={"log": LOG})
    vip.write("traits.csv", "user_id,plan\nada,pro\neve,free\n")
    first, _ = plan_and_sync(vip)
    assert forecast(first) == [("log", 4, 2)]
    told = [("ada", {"plan": "pro", "vip": True}), ("bob", {"vip": True}), ("cyd", {"vip": True})]
    assert [(each["user_id"], each["traits"]) for each in first.json["destinations"][0]["samples"]] == told
    assert vip.sent() == [*told, ("eve", {"plan": "free"})]

    vip.write_members("vip.csv", "ada", "bob", "dan")
    vip.write("traits.csv", "user_id,plan\nada,free\neve,free\n")
    vip.configure(audiences=AUDIENCES, computed_traits=TRAITS, destinations={"log": LOG, "second": SECOND})
    second, _ = plan_and_sync(vip)
    assert forecast(second) == [("log", 3, 2), ("second", 4, 1)]
    assert second.destination("second")["seconds_at_rate_limit"] == 1
    assert vip.sent() == [
        ("ada", {"plan": "free"}),
        ("cyd", {"quiet": False, "vip": False}),
        ("dan", {"quiet": True, "vip": True}),
    ]
    assert vip.sent("second.jsonl") == [
        ("ada", {"plan": "free", "vip": True}),
        ("bob", {"vip": True}),
        ("dan", {"vip": True}),
        ("eve", {"plan": "free"}),
    ]

    third, _ = plan_and_sync(vip)
    assert forecast(third) == [("log", 0, 0), ("second", 0, 0)]


def test_a_plan_creates_changes_and_sends_nothing(new_vip: Project) -> None:
    assert "log: 3 identify calls to calls.jsonl" in new_vip.run("plan").stdout
    assert sorted(path.name for path in new_vip.folder.iterdir()) == ["config.yaml", "vip.csv"]
    new_vip.sync()
    new_vip.sent()
    new_vip.write_members("vip.csv", "ada")
    before = new_vip.store.read_bytes()
    planned = new_vip.run("plan")
    assert planned.code == 0
    assert 'bob  {"vip":false}' in planned.stdout
    assert "Nothing was changed or sent. To do it: audience-sync sync" in planned.stdout
    assert new_vip.store.read_bytes() == before
    assert new_vip.sent() == []
