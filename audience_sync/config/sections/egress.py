"""Check the options `ca_file` and `proxy` of the config and of a destination."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field

from audience_sync.config.read.paths import absolute_path, password_problem_in_url
from audience_sync.config.read.problems import ConfigPath, ConfigProblem, RawConfig

#: Values of `proxy` other than an address.
ENVIRONMENT, NO_PROXY = "environment", "none"
#: Variables that `proxy: environment` reads: proxies by scheme, and the file of CAs (the first one that is set).
PROXY_VARIABLES = ("https_proxy", "http_proxy", "all_proxy", "no_proxy")
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")

_FORMS = "`http://proxy.example.com:3128`, `environment` or `none`"


def _parse_proxy(value: object) -> str:
    """The option `proxy`, normalised. YAML reads `no`, `off` and `false` as the same value.

    Raises ValueError, without the address: it may contain a password.
    """
    if value is False:
        return NO_PROXY
    if not isinstance(value, str):
        raise ValueError(f"it must be {_FORMS}")
    text = value.strip()
    if text in (ENVIRONMENT, NO_PROXY):
        return text
    if re.match(r"socks\w*:", text):
        raise ValueError("SOCKS proxies are not supported: use an HTTP proxy")
    if problem := password_problem_in_url(text):
        raise ValueError(problem)
    if not re.match(r"https?://", text):
        raise ValueError(f"it must be {_FORMS}: an address begins with `http://` or `https://`")
    try:
        url = urlsplit(text)
        usable = url.hostname is not None and url.port != 0 and not (url.path.strip("/") or url.query or url.fragment)
    except ValueError:  # the port is not a number
        usable = False
    if not usable or any(letter.isspace() or not letter.isprintable() for letter in text):
        raise ValueError(
            f"it is not the address of a proxy. Write {_FORMS}; "
            "in a password `%2F` for `/`, `%3F` for `?`, `%23` for `#` and `%40` for `@`"
        )
    return text.rstrip("/")


CaFile = Annotated[str, Field(min_length=1)]
ProxyText = Annotated[str, BeforeValidator(_parse_proxy, json_schema_input_type=str)]
CA_FILE = "A file with certificates (PEM) of CAs that are trusted in addition to the public ones"
PROXY = (
    "The proxy for requests: an address, `none`, or `environment` for the variables HTTPS_PROXY, HTTP_PROXY, ALL_PROXY "
    "and NO_PROXY (and REQUESTS_CA_BUNDLE or SSL_CERT_FILE if `ca_file` is not set)"
)
PROXY_EXAMPLES = ["http://user:password@proxy.example.com:3128", "environment"]


def find_problems(tree: RawConfig, folder: Path, variables: Mapping[str, str]) -> Iterator[ConfigProblem]:
    """Problems with files of CAs, at the options that name them."""
    for path, part in _parts(tree):
        file = part.get("ca_file")
        if isinstance(file, str) and file and (problem := ca_problem(absolute_path(file, folder))):
            yield ConfigProblem((*path, "ca_file"), problem)
        if part.get("proxy") == ENVIRONMENT and file is None and (named := ca_variable(variables)):
            name, ca_file = named
            if problem := ca_problem(ca_file):
                yield ConfigProblem((*path, "proxy"), f"the environment variable {name}: {problem}")


def _parts(tree: RawConfig) -> Iterator[tuple[ConfigPath, Mapping[str, object]]]:
    yield (), tree
    destinations = tree.get("destinations")
    for name, options in destinations.items() if isinstance(destinations, Mapping) else ():
        if isinstance(options, Mapping):
            yield ("destinations", name), options


def ca_variable(variables: Mapping[str, str]) -> tuple[str, str] | None:
    """The name of the first set variable for a file of CAs, and the file."""
    return next(((name, variables[name]) for name in CA_VARIABLES if variables.get(name)), None)


def ca_problem(path: str) -> str | None:
    """Why this file can't be used, or None."""
    import ssl

    file = Path(path)
    if file.is_dir():
        return f"{path} is a folder. Name the file with the certificates in it"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except FileNotFoundError:
        return f"{path} does not exist"
    except ssl.SSLError:
        return f"{path} has no certificate in PEM form (`-----BEGIN CERTIFICATE-----`).{_conversion_hint(file)}"
    except OSError as error:
        return f"{path} can't be read ({error.strerror or type(error).__name__})"
    return None


def _conversion_hint(file: Path) -> str:
    """How to convert a file in DER form, or nothing for other files."""
    with file.open("rb") as content:
        is_der = content.read(2) == b"\x30\x82"
    return f" Convert it: openssl x509 -inform der -in {file} -out {file.with_suffix('.pem')}" if is_der else ""


def environment_secrets(proxies: list[str | None], variables: Mapping[str, str]) -> list[str]:
    """The proxies' addresses in the environment, if one of these options is `environment`."""
    if ENVIRONMENT not in proxies:
        return []
    values = (value for name, value in variables.items() if name.lower() in PROXY_VARIABLES[:3])
    return [value if "://" in value else f"http://{value}" for value in values]
