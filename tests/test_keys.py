"""Names become keys by the rule, and dangerous keys are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from audience_sync.keys import (
    KeyRefusedError,
    explicit_key,
    explicit_trait_key,
    normalise_key,
    reserved_reason,
    reserved_trait_reason,
    snake_key,
    trait_key,
)

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "cases" / "keys.json").read_text("utf-8"))
ACCEPTED = [pytest.param(case["name"], case["expected"], id=case["name"]) for case in CASES if case["expected"]]
REFUSED = [pytest.param(case["name"], case["error"], id=case["name"][:20]) for case in CASES if "error" in case]


@pytest.mark.parametrize(("name", "key"), ACCEPTED)
def test_a_name_gives_the_key_of_the_published_cases(name: str, key: str) -> None:
    assert snake_key(name) == key


@pytest.mark.parametrize(("name", "code"), REFUSED)
def test_a_name_of_the_published_cases_is_refused(name: str, code: str) -> None:
    with pytest.raises(KeyRefusedError, match="`key:`") as refused:
        snake_key(name)
    assert refused.value.code == code


@pytest.mark.parametrize("key", [case.values[1] for case in ACCEPTED])
def test_a_key_is_its_own_key(key: str) -> None:
    assert snake_key(key) == key


@pytest.mark.parametrize(
    ("name", "key"),
    [
        pytest.param("a\u200bb", "ab", id="a zero-width space is dropped"),
        pytest.param("soft\u00adhyphen", "softhyphen", id="a soft hyphen is dropped"),
        pytest.param("\ufeffVIP", "vip", id="a byte order mark is dropped"),
        pytest.param("  VIP\t", "vip", id="white space around is trimmed"),
        pytest.param("  OrderCompleted ", "order_completed", id="trimming comes before splitting"),
        pytest.param("$OrderCompleted", "ordercompleted", id="a symbol makes it more than one token"),
        pytest.param("Q4Buyers", "q4_buyers", id="letters and digits, then a word"),
        pytest.param("Café", "cafe", id="precomposed accent"),
        pytest.param("Cafe\u0301", "cafe", id="combining accent"),
        pytest.param("ÆON Club", "aeon_club", id="two letters"),
        pytest.param("Ægir", "aegir", id="before a lower-case letter: Ae, one word"),
        pytest.param("ÆGIR", "aegir", id="before a capital: AE, one word"),
        pytest.param("ÞórFans", "thor_fans", id="thorn before a lower-case letter"),
        pytest.param("Łódź", "lodz", id="l with stroke"),
        pytest.param("Diyarbakır", "diyarbakir", id="dotless i"),
        pytest.param("Đặng", "dang", id="d with stroke, stacked marks"),
        pytest.param("Guðrún", "gudrun", id="eth"),
        pytest.param("Œuvre", "oeuvre", id="oe"),
        pytest.param("GROẞ", "gross", id="capital sharp s"),
        pytest.param("m²", "m2", id="a superscript digit"),
        pytest.param("Men's", "mens", id="straight apostrophe"),
        pytest.param("Men\u02bcs", "mens", id="letter apostrophe"),
        pytest.param("O'Brien", "o_brien", id="one token once the apostrophe is gone"),
        pytest.param("Rock 'n' Roll", "rock_n_roll", id="an apostrophe beside a space separates"),
        pytest.param("90's Kids", "90_s_kids", id="an apostrophe beside a digit separates"),
        pytest.param("Élan d'été", "elan_dete", id="letters around an apostrophe fold first"),
    ],
)
def test_the_rule_in_its_order(name: str, key: str) -> None:
    assert snake_key(name) == key


@pytest.mark.parametrize("name", ["Größe ħ", "Ωmega", "٣ أيام", "〇", "❶ first", "ŋ"])
def test_a_letter_or_digit_without_an_ascii_form_is_refused_and_never_dropped(name: str) -> None:
    with pytest.raises(KeyRefusedError, match="Set `key:`") as refused:
        snake_key(name)
    assert refused.value.code == "non_latin"


def test_255_characters_are_allowed_and_256_are_not() -> None:
    assert snake_key("a" * 255) == "a" * 255
    with pytest.raises(KeyRefusedError, match="256 characters, 255 are allowed") as refused:
        snake_key("a" * 256)
    assert refused.value.code == "too_long"


def test_an_explicit_key_is_taken_as_it_is() -> None:
    assert explicit_key("j_o_first_purchase__opened_email_dje83h") == "j_o_first_purchase__opened_email_dje83h"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("", "empty", id="empty"),
        pytest.param("Big Spenders", "invalid", id="a name"),
        pytest.param("vip\n", "invalid", id="a newline"),
        pytest.param("vip-1", "invalid", id="a hyphen"),
        pytest.param("été", "invalid", id="not ASCII"),
        pytest.param("a" * 256, "too_long", id="256 characters"),
    ],
)
def test_an_explicit_key_is_refused_and_never_repaired(text: str, code: str) -> None:
    with pytest.raises(KeyRefusedError) as refused:
        explicit_key(text)
    assert refused.value.code == code


def test_a_refused_explicit_key_names_the_one_that_was_probably_meant() -> None:
    with pytest.raises(KeyRefusedError, match="did you mean `big_spenders`"):
        explicit_key("Big Spenders")


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("first_name", "firstName"),
        ("firstName", "firstName"),
        ("First Name", "firstName"),
        ("FIRSTNAME", "firstName"),
        ("created_at", "createdAt"),
        ("Created At", "createdAt"),
        ("lastName", "lastName"),
        ("EMAIL", "email"),
        ("Total Revenue 180 Days", "total_revenue_180_days"),
        ("device_token", "device_token"),
        ("first name of pet", "first_name_of_pet"),
    ],
)
def test_standard_traits_keep_segments_spelling(name: str, key: str) -> None:
    assert trait_key(name) == key


def test_an_explicit_trait_key_may_be_a_standard_trait() -> None:
    assert explicit_trait_key("firstName") == "firstName"
    assert explicit_trait_key("first_name") == "first_name"
    with pytest.raises(KeyRefusedError, match="did you mean `total_revenue`"):
        explicit_trait_key("totalRevenue")


def test_keys_are_compared_by_lower_case_letters_and_digits() -> None:
    assert normalise_key("First_Name-2") == "firstname2"


@pytest.mark.parametrize(
    ("key", "hazard"),
    [
        ("email", "would replace each user's e-mail address with true"),
        ("e_mail", "would replace each user's e-mail address with true"),
        ("phone", "would replace each user's phone number with true"),
        ("first_name", "would replace each user's first name with true"),
        ("created_at", "would replace each user's time of creation with true"),
        ("company", "would replace each user's company with true"),
        ("device_token", "would replace each user's profile field `device_token` with true"),
        ("id", "Destinations read it as the id of the user"),
        ("user_id", "Destinations read it as the id of the user"),
        ("anonymous_id", "Destinations read it as the id of the user"),
        ("audience_key", "or of the audience"),
        ("trait_key", "or of the audience"),
    ],
)
def test_an_audience_may_not_take_the_place_of_a_profile_field(key: str, hazard: str) -> None:
    reason = reserved_reason(key, frozenset({"devicetoken"}))
    assert reason is not None
    assert hazard in reason
    assert "Set another key, for example: key: " in reason


def test_other_keys_are_free_for_audiences() -> None:
    assert reserved_reason("email_openers") is None
    assert reserved_reason("device_token") is None


def test_a_computed_trait_may_be_an_email_address_but_not_an_id() -> None:
    assert reserved_trait_reason("email") is None
    assert reserved_trait_reason("firstName") is None
    assert reserved_trait_reason("id") is not None
    assert reserved_trait_reason("userId") is not None
    assert reserved_trait_reason("audience_key") is not None
