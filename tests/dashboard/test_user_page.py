"""The page of a user shows what `explain` knows, whatever the id looks like."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import parse_qs, urlencode

import pytest
from cli.conftest import ACCEPTED, Project, segment
from destinations.receiver import Receiver, Reply

from .small_week import MASK, ODD_IDS, PLAN, VIP, cells, facts, json_of, look, text_of


class TestAUser:
    def test_has_the_values_runs_and_requests_of_explain(self, small_week: Project) -> None:
        explained = json_of(small_week, "explain", "bob")
        page = look(small_week, "/users", id="bob")
        assert page.status == 200
        reasons = {row[0]: row for row in cells(page.text, "why")}
        for each in explained["audiences"]:
            assert reasons[each["key"]][1] == ("true" if each["value"] else "false")
            assert f"Run {each['run']}," in reasons[each["key"]][2]
        for each in explained["computed_traits"]:
            assert reasons[each["key"]][1] == each["value"]
        calls = [call for each in explained["destinations"] for call in each["calls"]]
        assert len(cells(page.text, "requests")) == len(calls)
        assert facts(page.text)["Requests"] == str(len(calls))

    def test_says_why_a_value_is_false(self, small_week: Project) -> None:
        page = text_of(look(small_week, "/users", id="bob").text)
        assert "Run 4, Wed 4 Mar 06:00, no longer found the user in vip.csv of shop." in page

    def test_names_a_hold_of_their_audience_with_its_commands(self, small_week: Project) -> None:
        page = text_of(look(small_week, "/users", id="ada").text)
        assert "Held in run 5" in page
        assert "audience-sync approve 5 vip" in page

    def test_is_shown_as_of_a_time(self, small_week: Project) -> None:
        then = look(small_week, "/users", id="bob", at="2026-03-03T06:00").text
        assert {row[0]: row[1] for row in cells(then, "why")}["vip"] == "true"
        before = look(small_week, "/users", id="bob", at="2026-02-01").text
        assert "no user with this id in the store at that time" in text_of(before)

    @pytest.mark.parametrize("at", ["yesterday", "2026-13-01", "0001-01-01T00:00+14:00"])
    def test_is_not_shown_as_of_a_time_that_is_none(self, small_week: Project, at: str) -> None:
        assert look(small_week, "/users", id="bob", at=at).status == 400

    def test_that_does_not_exist_is_an_answer(self, small_week: Project) -> None:
        page = look(small_week, "/users", id="BOB")
        assert page.status == 200
        assert "There is no user with this id in the store." in text_of(page.text)

    def test_without_an_id_is_asked_for(self, small_week: Project) -> None:
        assert 'name="id"' in look(small_week, "/users").text

    def test_that_was_erased_or_suppressed_says_so(self, project: Project) -> None:
        project.configure(audiences=[VIP])
        project.write_members("vip.csv", "ada", "bob", "cyd")
        project.sync()
        project.run("suppress", "bob")
        project.run("erase", "cyd")
        assert "Suppressed by hand since" in text_of(look(project, "/users", id="bob").text)
        assert "This user was erased on" in text_of(look(project, "/users", id="cyd").text)

    def test_is_found_by_a_previous_id(self, project: Project) -> None:
        project.configure(audiences=[VIP], aliases=[{"source": "shop", "file": "aliases.csv"}])
        project.write("aliases.csv", "previous_id,user_id\n")
        project.write_members("vip.csv", "app-1", "bob")
        project.sync()
        project.write("aliases.csv", "previous_id,user_id\napp-1,ada\n")
        project.write_members("vip.csv", "ada", "bob")
        project.sync()
        assert "This is a previous id of ada since run 2" in text_of(look(project, "/users", id="app-1").text)
        assert "previous id app-1, joined in run 2" in text_of(look(project, "/users", id="ada").text)

    def test_that_a_destination_refuses_has_the_reason_and_the_command(self, project: Project) -> None:
        with Receiver() as receiver:
            receiver.will_answer(Reply(400, b'{"message": "no such <b>profile</b>"}'))
            project.configure(audiences=[VIP], destinations={"segment": segment(receiver, batch_size=1)})
            project.write_members("vip.csv", "ada")
            project.sync()
            page = look(project, "/users", id="ada").text
            receiver.will_answer(ACCEPTED)
        assert "Refused 1 time: HTTP 400" in text_of(page)
        assert "audience-sync retry --destination segment" in text_of(page)
        assert "<b>profile" not in page
        assert facts(page)["Refused now"] == "1"


class TestAnId:
    @pytest.mark.parametrize("user", ODD_IDS.values(), ids=list(ODD_IDS))
    def test_of_any_characters_is_shown_as_text_and_leads_to_its_page(self, odd_ids: Project, user: str) -> None:
        listed = look(odd_ids, "/audiences/vip", range="all")
        links = re.findall(r'href="(/users\?id=[^"]+)"', listed.text[listed.text.index('id="who"') :])
        (link,) = {each for each in map(unescape, links) if parse_qs(each.partition("?")[2])["id"] == [user]}
        page = look(odd_ids, link)
        assert page.status == 200
        assert {row[0]: row[1] for row in cells(page.text, "why")} == {"vip": "true", "newsletter": "true"}
        for html in (listed.text, page.text):
            for markup in ("<b>bold", "<script>alert", 'onmouseover="alert', "{{ 49 }}"):
                assert markup not in html
            assert not {"\x1b", "\u202e"} & set(text_of(html))

    @pytest.mark.parametrize(
        "link",
        ["/users?id=%00", "/users?id=a%00b", "/users?id=%ED%A0%80", "/users?id=%FF", f"/users?id={'x' * 20_000}"],
    )
    def test_that_no_store_can_have_is_not_found(self, small_week: Project, link: str) -> None:
        page = look(small_week, link)
        assert page.status == 200
        assert "There is no user with this id in the store." in text_of(page.text)


class TestWithMaskedIds:
    @pytest.mark.parametrize("path", ["/audiences/vip", "/audiences/newsletter", "/users?id=bob", "/users?id=ada"])
    def test_no_page_shows_an_id_or_an_address(self, small_week: Project, path: str) -> None:
        html = look(small_week, path, masked=True).text
        body = html[html.index("<title>") :]
        for user in ("ada", "bob", "cyd", "eve"):
            assert not re.search(rf"\b{user}\b", body), user
        assert "example.org" not in body

    def test_one_user_has_one_pseudonym_on_all_pages(self, small_week: Project) -> None:
        assert MASK.id("bob") in look(small_week, "/audiences/vip", masked=True).text
        assert MASK.id("bob") in look(small_week, "/users", id="bob", masked=True).text
        saved = look(small_week, "/audiences/vip", masked=True, format="csv", table="changes").text
        assert MASK.id("bob") in saved
        assert "bob" not in saved

    def test_a_query_shows_the_same_pseudonym(self, small_week: Project) -> None:
        sql = "select user_id from membership_changes where audience_key = 'vip'"
        for kind in ("", "&format=csv", "&format=json"):
            page = look(small_week, f"/query?{urlencode({'sql': sql})}{kind}", masked=True).text
            assert MASK.id("bob") in page
            assert "bob" not in page


def test_traits_with_values_of_every_type_are_shown(project: Project) -> None:
    project.configure(audiences=[VIP], computed_traits=[{**PLAN, "traits": ["plan", "email"]}])
    project.write_members("vip.csv", "ada")
    project.write("traits.csv", "user_id,plan,email\nada,<i>x</i>,\n")
    project.sync()
    page = look(project, "/users", id="ada").text
    assert {row[0]: row[1] for row in cells(page, "why")}["plan"] == "<i>x</i>"
    assert "<i>x" not in page
