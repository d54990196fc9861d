"""What do the shop's customers do? They order, open the app, and lose interest."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from random import Random

from fiction.chance import chance, moment
from fiction.customers import Customer, Order

#: Price range of one article, in whole euros.
CATEGORIES = {
    "coffee": (6, 24),
    "tea": (4, 18),
    "books": (8, 32),
    "toys": (10, 48),
    "kitchen": (12, 95),
    "garden": (9, 110),
    "outdoor": (19, 180),
}
#: The chance (per cent) of an order in a week: the share of customers (per cent) who are like that.
WEEKLY_CHANCE = {0: 10, 1: 14, 4: 24, 10: 22, 20: 18, 35: 9, 60: 3}
FAITHFUL = 70  # per cent of customers
DAYS_OF_EVENTS = 14


def order(random: Random, day: date, favourite: str) -> Order:
    category = favourite if chance(random, 55) else random.choice(list(CATEGORIES))
    articles = random.choices((1, 2, 3, 4), (60, 25, 10, 5))[0]
    euros = [random.randrange(*CATEGORIES[category]) for _ in range(articles)]
    return Order(moment(random, day), sum(euros) * 100 + random.choice((0, 50, 90, 99)), category)


def weeks(random: Random, start: date, last_day: date) -> Iterator[date]:
    """The weeks in which somebody is a customer, by their first day: until today, or until they have had enough."""
    enough = 1000 if chance(random, FAITHFUL) else random.randrange(2, 35)
    while start <= last_day and enough:
        yield start
        start, enough = start + timedelta(days=7), enough - 1


def orders(random: Random, start: date, last_day: date) -> Iterator[Order]:
    weekly = random.choices(list(WEEKLY_CHANCE), list(WEEKLY_CHANCE.values()))[0]
    favourite = random.choice(list(CATEGORIES))
    for week in weeks(random, start, last_day):
        if chance(random, weekly):
            yield order(random, min(week + timedelta(days=random.randrange(7)), last_day), favourite)


def app_events(random: Random, customer: Customer, last_day: date) -> Iterator[tuple[datetime, str, str]]:
    """When, who and what, of the last two weeks; only who has the app."""
    often = random.choices((0, 1, 2, 4, 9), (30, 25, 20, 15, 10))[0] if customer.device_type else 0
    for _ in range(often):
        day = last_day - timedelta(days=random.randrange(DAYS_OF_EVENTS))
        event = random.choices(("app_opened", "product_viewed", "basket_filled"), (6, 3, 1))[0]
        yield moment(random, day), customer.customer_id, event


def churn(random: Random, customer: Customer, now: datetime) -> float:
    """A probability: the longer a customer is silent, measured by their own rhythm, the higher."""
    if customer.last_order_at is None:
        return round(0.4 + random.random() * 0.3, 4)
    silent = (now - customer.last_order_at).days
    return round(0.92 * silent / (silent + 60 / len(customer.orders)) + random.random() * 0.08, 4)
