"""Variables come from the environment and from files, and what they hold is never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from audience_sync.redaction.secrets import collect_secrets, mask_secrets

from .conftest import ConnectOptions, Load, Problems

START = """
sources: {shop: {files: data}}
audiences: [{name: VIP, source: shop, file: vip.csv}]
destinations:
  connect:
    type: zendesk_connect
    private_key: literal
"""


@pytest.mark.parametrize(
    ("written", "url"),
    [
        pytest.param("${URL}", "https://h", id="whole"),
        pytest.param("${URL}/v2/${PART}", "https://h/v2/p", id="in part, twice"),
        pytest.param("${NONE:-https://d}", "https://d", id="default"),
        pytest.param("${EMPTY:-https://d}", "https://d", id="empty: default"),
        pytest.param("${URL:-https://d}", "https://h", id="set: no default"),
        pytest.param("'x${NONE:-}'", "x", id="empty default"),
        pytest.param("$${URL}", "${URL}", id="escaped"),
        pytest.param("$URL and {URL}", "$URL and {URL}", id="no variable"),
        pytest.param("${file:url.txt}", "https://f", id="a file"),
        pytest.param("${NONE:-${URL}}", "https://h", id="nested: the inner one is set"),
        pytest.param("${URL:-${NONE}}", "https://h", id="nested: the inner one isn't needed"),
        pytest.param("${NONE:-${EMPTY:-${NO:-https://d}}}", "https://d", id="nested twice"),
        pytest.param("${NONE:-${URL}/${PART}/x}/y", "https://h/p/x/y", id="nested, in part, twice"),
        pytest.param("${NONE:-${file:url.txt}}", "https://f", id="a file as the default"),
        pytest.param("${file:${NONE:-url}.txt}", "https://f", id="a file whose name is nested"),
        pytest.param("${NONE:-$${URL}}", "${URL}", id="nested, escaped"),
        pytest.param("'${URL:-$${URL}}x'", "https://hx", id="nested, escaped, not needed"),
        pytest.param("'${NONE:-{a}}'", "{a}", id="a brace that opens nothing"),
    ],
)
def test_a_variable_is_filled_in(load_text: Load, tmp_path: Path, written: str, url: str) -> None:
    (tmp_path / "url.txt").write_text("https://f\n", "utf-8")
    settings = load_text(f"{START}    url: {written}\n", URL="https://h", PART="p", EMPTY="")
    options = settings.destinations["connect"]
    assert isinstance(options, ConnectOptions)
    assert options.url == url


def test_a_variable_may_be_a_number_or_a_truth(load_text: Load) -> None:
    settings = load_text(
        START + "    concurrency: ${MANY}\nmembers_table: ${TABLE}\nguard: {max_added: '${MAX}'}\n",
        MANY="8",
        TABLE="false",
        MAX="5000",
    )
    assert settings.destinations["connect"].concurrency == 8
    assert settings.members_table is False
    assert settings.guard.max_added.count == 5000


@pytest.mark.parametrize(("written", "size"), [("true", True), ("False", False), (" 5000 ", 5000), ("0", 0)])
def test_a_variable_may_be_the_size_of_a_table(load_text: Load, written: str, size: bool | int) -> None:
    found = load_text(f"{START}trait_values_table: ${{SIZE}}\n", SIZE=written).trait_values_table
    assert (found, type(found)) == (size, type(size))


def test_a_variable_that_is_not_set_is_a_problem_and_only_one(problems: Problems) -> None:
    text = START + "    timeout: ${LIMIT}\n    url: ${URL}\n"
    assert problems(text, URL="") == [
        "destinations.connect.timeout: the variable `LIMIT` is not set, neither in the environment nor in `.env`: "
        "set it, or write `${LIMIT:-default}`",
        "destinations.connect.url: the environment variable `URL` is empty: set it, or write `${URL:-default}`",
    ]


ENV_FILE = """\ufeff# for the shop
URL=https://from-the-file/#top  # a comment
export KEY='its # a "key"'
QUOTED="a\\tb"
PRICE = ${URL} and $5
EMPTY=
LINES="one
two"
TWICE=1
TWICE=2
"""


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("${URL}", "https://from-the-file/#top"),
        ("${KEY}", 'its # a "key"'),
        ("${QUOTED}", "a\tb"),
        ("${PRICE}", "${URL} and $5"),
        ("${EMPTY:-default}", "default"),
        ("${LINES}", "one\ntwo"),
        ("${TWICE}", "2"),
        ("${BOTH}", "of the environment"),
        ("${NONE:-${URL}}", "https://from-the-file/#top"),
    ],
)
def test_the_file_env_has_what_the_environment_lacks(load_text: Load, tmp_path: Path, written: str, url: str) -> None:
    (tmp_path / ".env").write_text(ENV_FILE + "BOTH=of the file\n", "utf-8")
    settings = load_text(f"{START}    url: {written}\n", BOTH="of the environment")
    options = settings.destinations["connect"]
    assert isinstance(options, ConnectOptions)
    assert options.url == url


def test_the_environment_wins_over_the_file_even_if_it_is_empty(problems: Problems, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("URL=https://from-the-file\nLIMIT=\n", "utf-8")
    assert problems(START + "    url: ${URL}\n    timeout: ${LIMIT}\n", URL="") == [
        "destinations.connect.url: the environment variable `URL` is empty: set it, or write `${URL:-default}`",
        "destinations.connect.timeout: the variable `LIMIT` is empty in `.env`: set it, or write `${LIMIT:-default}`",
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"URL=https://h\n'KEY=hush\n", "line 2 is not `NAME=value`"),
        (b"URL=\xff", "it is not text in UTF-8"),
        (b"#" * 1_000_001, "it has more than 1,000,000 characters"),
    ],
)
def test_a_file_env_that_can_not_be_read_is_a_problem(
    content: bytes, reason: str, problems: Problems, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_bytes(content)
    assert problems(START + "    url: ${URL}\n") == [
        f"destinations.connect.url: the file `.env` can't be used: {reason}"
    ]


def test_the_file_env_is_read_only_for_a_variable_that_is_missing(load_text: Load, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xff")
    assert load_text(START + "    url: ${URL}\n", URL="https://h").files_read == ()


def test_the_values_of_the_file_env_are_secrets(load_text: Load, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("URL=https://hush-hush\nNOT_USED=another-one\n", "utf-8")
    settings = load_text(START + "    url: ${URL}\n")
    assert mask_secrets("at https://hush-hush", settings.secrets) == "at ***"
    assert settings.files_read == (str(tmp_path / ".env"),)


def test_a_file_that_is_not_there_is_a_problem(problems: Problems) -> None:
    assert problems(START + "    url: ${file:keys/none}\n") == [
        "destinations.connect.url: the file `keys/none` can't be read: No such file or directory"
    ]


def test_a_default_may_be_nested_to_any_sensible_depth(load_text: Load, problems: Problems) -> None:
    options = load_text(f"{START}    url: {'${NONE:-' * 50}https://d{'}' * 50}\n").destinations["connect"]
    assert isinstance(options, ConnectOptions)
    assert options.url == "https://d"
    assert problems(f"{START}    url: {'${NONE:-' * 5_000}https://d{'}' * 5_000}\n") == [
        "destinations.connect.url: variables are nested deeper than 50 times: write fewer"
    ]


def test_a_nested_variable_that_is_missing_is_named(problems: Problems) -> None:
    assert problems(f"{START}    url: ${{PROD:-${{DEV}}}}\n") == [
        "destinations.connect.url: the variable `DEV` is not set, neither in the environment nor in `.env`: set it, "
        "or write `${DEV:-default}`"
    ]


def test_the_values_of_nested_variables_are_secrets(load_text: Load, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-a-file\n", "utf-8")
    settings = load_text(
        START + "    url: https://h/${NONE:-${HOST}}/${file:${FOLDER}/key}\n", HOST="inner", FOLDER="."
    )
    assert {"inner", "from-a-file"} <= set(settings.secrets)


def test_what_a_variable_holds_is_not_expanded_again(load_text: Load) -> None:
    options = load_text(START + "    url: '${NONE:-${URL}}'\n", URL="${URL}").destinations["connect"]
    assert isinstance(options, ConnectOptions)
    assert options.url == "${URL}"


@pytest.mark.parametrize(
    "written",
    ["${}", "${no-name}", "${OPEN", "${1A}", "${A:-${B}", "${A:-${1B}}", "${A:-${B:-x}", "${file:}", "${file:${}}"],
)
def test_half_a_variable_is_a_problem(problems: Problems, written: str) -> None:
    assert problems(f"{START}    url: '{written}'\n") == [
        "destinations.connect.url: `${` begins a variable, `${NAME}`, `${NAME:-default}` or `${file:/path}`; "
        "a plain `${` is written `$${`"
    ]


def test_the_secrets_are_the_values_that_came_from_outside(load_text: Load, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-a-file\n", "utf-8")
    settings = load_text(
        START.replace("literal", "written-in-the-file")
        + "    url: https://${HOST}/${SHORT}/${PLAIN:-a-default}/${file:key}\n",
        HOST="internal.example.com",
        SHORT="abc",
    )
    assert {"internal.example.com", "written-in-the-file", "from-a-file"} <= set(settings.secrets)
    assert not {"abc", "true"} & set(settings.secrets)
    assert [len(secret) for secret in settings.secrets] == sorted(map(len, settings.secrets), reverse=True)


def test_a_password_in_a_url_is_a_secret_as_written_and_as_meant(load_text: Load) -> None:
    settings = load_text("store: postgresql://sync:p%40ssword@db/sync\n" + START)
    assert {"p%40ssword", "p@ssword", "literal"} <= set(settings.secrets)


def test_a_password_among_a_urls_parameters_is_a_secret() -> None:
    assert "par-pw-1" in collect_secrets(["postgresql://db/sync?sslmode=require&password=par-pw-1"])


@pytest.mark.parametrize("part", ["tk9f2kd81s", "hunterhunter", "B00000000"])
def test_a_part_of_an_address_may_be_a_key_but_a_usual_word_is_none(part: str) -> None:
    secrets = collect_secrets([f"https://crm.example.com/identify/{part}"])
    assert mask_secrets(f'POST /identify/{part} {{"type":"identify","key":"{part}"}}', secrets) == (
        'POST /*** {"type":"identify","key":"***"}'
    )


def test_the_longest_secret_is_masked_first() -> None:
    secrets = collect_secrets(["abcd", "abcdefgh", "abc"])
    assert mask_secrets("abcdefgh abcd abc", secrets) == "*** *** abc"


@pytest.mark.parametrize(
    "place",
    [
        "    timeout: ${KEY}",
        "    rate_limit: ${KEY}",
        "    concurrency: ${KEY}",
        "    type: ${KEY}",
        "    pasword: ${KEY}",
        "store: ${KEY}",
        "guard: ${KEY}",
        "guard: {max_added: '${KEY}'}",
        "schedule: ${KEY}",
        "schedule: {cron: '@daily', timezone: '${KEY}'}",
        "memory_limit: ${KEY}",
        "computed_traits: [{source: '${KEY}', file: a.csv, traits: [a]}]",
        "computed_traits: [{source: shop, file: a.csv, traits: ['${KEY}', '${KEY}']}]",
        "computed_traits: [{source: shop, file: a.csv, traits: [{column: a, type: '${KEY}'}]}]",
    ],
)
def test_no_problem_shows_a_secret(problems: Problems, place: str) -> None:
    assert "hunter2hunter2" not in "\n".join(problems(f"{START}{place}\n", KEY="hunter2hunter2"))


def test_a_syntax_error_does_not_show_its_line(problems: Problems) -> None:
    assert "hunter2hunter2" not in "\n".join(problems("store: [hunter2hunter2\nguard: {}\n"))
