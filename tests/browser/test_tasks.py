"""Operator, engineer and analyst do their day's work in the browser, and the sandbox shows what arrives."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from cli.conftest import Project
from playwright.sync_api import Browser, Page, expect

from .conftest import Week, keep_screenshot, opened
from .week import LEFT, REFUSED, RUNS, VIP, vip_members

QUERY = re.compile(r"/query\?")


def copied(page: Page) -> str:
    return str(page.evaluate("navigator.clipboard.readText()"))


def test_the_operator_sees_the_hold_and_copies_its_command(dashboard: Page) -> None:
    expect(dashboard.locator("h1")).to_contain_text("1 audience is held")
    held = dashboard.locator(".todo li").filter(has_text="VIP")
    expect(held).to_contain_text("removes 241 of 260 members (93%)")
    command = f"audience-sync approve {RUNS} {VIP}"
    expect(held.locator(".cmd code").first).to_have_text(command)
    held.get_by_role("button", name=f"Copy {command}").click()
    expect(held.get_by_role("button", name=f"Copy {command}")).to_have_text("Copied")
    assert copied(dashboard) == command


def test_the_open_hold_is_marked_in_the_chart_of_its_audience(dashboard: Page) -> None:
    dashboard.locator(".todo").get_by_role("link", name="VIP").click()
    expect(dashboard.locator("figure.chart .ev.act")).to_have_count(1)
    expect(dashboard.locator(".note.act")).to_contain_text("241 of 260 members would leave, and 1 user would enter")


def test_the_commands_of_the_home_page_are_those_of_status(dashboard: Page, week: Week) -> None:
    needs = week.project.run("status", "--json").json["needs_person"]
    shown = dashboard.locator(".todo .cmd code").all_inner_texts()
    assert [" ".join(each.split()) for each in shown] == [command for each in needs for command in each["commands"]]
    assert [each["state"] for each in needs] == ["held", "refused", "waiting"]


def test_the_operator_finds_why_calls_are_refused(dashboard: Page) -> None:
    refused = dashboard.locator(".todo li").filter(has_text="segment")
    expect(refused).to_contain_text("Invalid email address for user")
    refused.get_by_role("link", name="segment").click()
    dashboard.wait_for_url("**/destinations**")
    expect(dashboard.locator("#main")).to_contain_text("audience-sync retry --destination segment")


def test_the_operator_sees_the_outage_of_the_third_run(dashboard: Page) -> None:
    dashboard.goto(dashboard.url + "runs/3")
    expect(dashboard.locator("#main")).to_contain_text("503")


def test_the_engineer_finds_why_a_user_is_no_vip(dashboard: Page) -> None:
    dashboard.keyboard.press("/")
    dashboard.keyboard.type(LEFT)
    dashboard.keyboard.press("Enter")
    dashboard.wait_for_url("**/users**")
    expect(dashboard.locator("h1")).to_contain_text(LEFT)
    main = dashboard.locator("#main")
    expect(main).to_contain_text(VIP)
    expect(main).to_contain_text("false")
    expect(main.get_by_role("link", name=re.compile(r"\b(run )?3\b")).first).to_be_visible()


def test_the_engineer_finds_what_a_destination_answered_about_a_user(dashboard: Page, week: Week) -> None:
    dashboard.goto(f"{week.url}/users?id={REFUSED[0]}")
    expect(dashboard.locator("#main")).to_contain_text("Invalid email address for user")


def test_the_analyst_takes_the_query_of_a_chart_and_its_csv(dashboard: Page, week: Week) -> None:
    dashboard.goto(f"{week.url}/audiences/{VIP}")
    dashboard.locator("section").filter(has_text="Members over time").get_by_role("link", name="Query").first.click()
    dashboard.wait_for_url(QUERY)
    sql = dashboard.locator("textarea[name=sql]")
    expect(sql).to_have_value(re.compile("audience_syncs"))
    dashboard.get_by_role("button", name="Run").click()
    expect(dashboard.get_by_role("table").first).to_be_visible()
    with dashboard.expect_download() as download:
        dashboard.get_by_role("link", name="CSV").first.click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text("utf-8"))))
    assert len(rows) == RUNS
    assert "200" in rows[0].values() or "201" in rows[0].values()


def test_the_analyst_reads_the_columns_of_a_view_and_writes_a_query(dashboard: Page, week: Week) -> None:
    dashboard.goto(f"{week.url}/query")
    dashboard.locator("textarea[name=sql]").fill("select count(*) as runs from sync_runs")
    dashboard.get_by_role("button", name="Run").click()
    expect(dashboard.get_by_role("cell", name=str(RUNS), exact=True)).to_be_visible()


@pytest.fixture
def shop(sandbox_url: str, tmp_path: Path) -> Project:
    """A project that sends its only audience, five members, to the sandbox."""
    project = Project(tmp_path)
    project.configure(
        audiences=[{"name": "Sandbox VIP", "source": "shop", "file": "vip.csv"}],
        destinations={"segment": {"type": "segment", "write_key": "a-write-key", "url": sandbox_url}},
    )
    project.write_members("vip.csv", *vip_members(1, 6))
    return project


def test_the_sandbox_shows_calls_as_they_arrive_and_filters_its_users(sandbox: Page, shop: Project) -> None:
    assert shop.run("sync").code == 0
    sandbox.goto(sandbox.url)
    expect(sandbox.locator(".feed li")).to_have_count(5)
    shop.write_members("vip.csv", *vip_members(2, 7))
    assert shop.run("sync").code == 0
    expect(sandbox.locator(".feed li")).to_have_count(7)  # without a reload
    expect(sandbox.locator(".feed li").filter(has_text="C-00001").first).to_contain_text("false")

    sandbox.get_by_role("link", name="Users", exact=True).click()
    sandbox.get_by_label("Property", exact=True).fill("sandbox_vip")
    sandbox.get_by_role("button", name="Show").click()
    expect(sandbox.get_by_role("row")).to_have_count(6)
    sandbox.get_by_label("Value").first.fill("false")
    sandbox.get_by_role("button", name="Show").click()
    expect(sandbox.get_by_role("row")).to_have_count(2)
    expect(sandbox.get_by_role("table")).to_contain_text("C-00001")


def test_the_sandbox_answers_429_on_demand_and_the_run_waits(sandbox: Page, shop: Project) -> None:
    assert shop.run("sync").code == 0
    sandbox.goto(sandbox.url)
    sandbox.get_by_text("429").click()
    sandbox.get_by_label("requests").fill("1")
    sandbox.get_by_role("button", name="Set").click()
    expect(sandbox.locator(".note.act").first).to_contain_text("429")
    shop.write_members("vip.csv", *vip_members(2, 6))
    done = shop.run("sync", "--json")
    assert (done.code, done.destination("segment")["retries"]) == (0, 1)
    sandbox.goto(sandbox.url)
    expect(sandbox.locator("#main")).to_contain_text("slow down")


def test_the_engineer_watches_a_seed_while_it_sends(chromium: Browser, week: Week) -> None:
    """The vendor answers only when the test lets it, so each step is seen, however fast the machine is."""
    with opened(chromium, week.url) as page:
        page.goto(week.url)
        week.vendor.slow_down()
        process = week.project.start("seed", "win_back_winter", "--yes", "--rate", "10/s")
        try:
            week.vendor.let(1)
            running = page.locator("#now").get_by_role("row").filter(has_text="segment")
            expect(running.locator("[data-l=accepted]")).to_have_text("10", timeout=30_000)
            keep_screenshot(page, "home_while_a_seed_sends")
            page.goto(f"{week.url}/runs/{RUNS + 1}")
            expect(running.locator("[data-l=accepted]")).to_have_text("10")
            week.vendor.let(1)
            expect(running.locator("[data-l=accepted]")).to_have_text("20", timeout=30_000)  # without a reload
            keep_screenshot(page, "run_while_it_sends")
        finally:
            week.vendor.hurry()
            assert process.wait(timeout=60) == 1  # calls of earlier runs are still refused
        expect(page.locator("#now")).to_have_count(0, timeout=30_000)
        expect(page.locator("#main")).to_contain_text("50")
