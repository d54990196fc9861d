"""Who are the shop's customers? Invented people with addresses, time zones and telephones."""

from __future__ import annotations

import string
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random

from fiction.chance import chance, text
from fiction.countries import COUNTRIES, Country

#: Customers of the shop's former system keep the ids they had: text that looks like numbers.
FORMER_IDS = {7: "007", 42: "0042", 815: "00815", 1500: "1e5"}
LONGEST_AGE = 1800  # days since the first customer signed up
ASCII = str.maketrans({"ł": "l", "ø": "o", "ß": "ss", "æ": "ae", "ı": "i", "å": "aa", "ü": "ue", "ö": "oe"})
TOKEN_LETTERS = string.ascii_letters + string.digits + "_-"


@dataclass(frozen=True)
class Order:
    ordered_at: datetime
    cents: int
    category: str


@dataclass(frozen=True)
class Customer:
    """``orders`` are in the order of time."""

    customer_id: str
    name: str
    email: str | None
    timezone: str | None
    device_type: str | None
    device_token: str | None
    signed_up: date
    orders: list[Order] = field(default_factory=list)

    def orders_since(self, start: datetime) -> list[Order]:
        return [order for order in self.orders if order.ordered_at >= start]

    @property
    def last_order_at(self) -> datetime | None:
        return self.orders[-1].ordered_at if self.orders else None

    @property
    def favourite_category(self) -> str | None:
        bought = Counter(order.category for order in self.orders)
        return min(bought, key=lambda category: (-bought[category], category), default=None)


def mailbox(name: str) -> str:
    """The name in ASCII, ``soeren.mueller``; empty where it isn't in Latin letters."""
    plain = unicodedata.normalize("NFKD", name.lower().translate(ASCII)).encode("ascii", "ignore").decode()
    return plain.replace("'", "").strip().replace(" ", ".")


def email(random: Random, number: int, name: str) -> str | None:
    if chance(random, 1.5):
        return None  # ordered by telephone
    host = random.choice(("example.com", "example.com", "example.org"))
    return f"{mailbox(name) or 'customer'}.{number}@{host}"


def timezone(random: Random, country: Country) -> str | None:
    if chance(random, 8):
        return None
    return country.timezones[0] if chance(random, 60) else random.choice(country.timezones)


def device(random: Random) -> tuple[str | None, str | None]:
    """Type and push token of the telephone that has the shop's app; most customers don't have it."""
    if not chance(random, 38):
        return None, None
    if chance(random, 45):
        return "ios", text(random, "0123456789abcdef", 64)
    return "android", f"{text(random, TOKEN_LETTERS, 22)}:APA91b{text(random, TOKEN_LETTERS, 64)}"


def signed_up(random: Random, older_share: float, last_day: date) -> date:
    """The shop grows: half of its customers came in the last quarter of its life."""
    age = int(LONGEST_AGE * older_share * older_share) + random.randrange(20)
    return last_day - timedelta(days=age)


def customer(random: Random, number: int, of: int, last_day: date) -> Customer:
    country = random.choices(COUNTRIES, [country.share for country in COUNTRIES])[0]
    name = f"{random.choice(country.given.split())} {random.choice(country.family.split())}"
    device_type, device_token = device(random)
    return Customer(
        customer_id=FORMER_IDS.get(number, f"C-{number:05d}"),
        name=name,
        email=email(random, number, name),
        timezone=timezone(random, country),
        device_type=device_type,
        device_token=device_token,
        signed_up=signed_up(random, (of - number) / of, last_day),
    )
