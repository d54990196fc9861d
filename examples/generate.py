"""Where does the sample data come from? This script: the same rows on every day and every machine.

    python examples/generate.py [FOLDER]

Writes the files of ``examples/shop`` into FOLDER; needs Python and duckdb.
"""

from __future__ import annotations

import csv
import json
import sqlite3
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
from fiction import behaviour
from fiction.chance import chance
from fiction.customers import Customer, customer

SEED = 20261031
CUSTOMERS = 5_000
FIRST_DAY = date(2026, 3, 1)
LAST_DAY = date(2026, 10, 31)  # the sample is of this day's end; no clock is read
NOW = datetime.combine(LAST_DAY + timedelta(days=1), time())

CUSTOMER_COLUMNS = {
    "customer_id": "VARCHAR",
    "email": "VARCHAR",
    "name": "VARCHAR",
    "timezone": "VARCHAR",
    "device_token": "VARCHAR",
    "device_type": "VARCHAR",
    "loyalty_member": "BOOLEAN",
    "signed_up": "DATE",
    "rev_180": "DOUBLE",
    "favourite_category": "VARCHAR",
    "last_order_at": "TIMESTAMP",
}


def days_ago(days: int) -> datetime:
    return NOW - timedelta(days=days)


def invented_customers(random: Random) -> list[Customer]:
    customers = [customer(random, number, CUSTOMERS, LAST_DAY) for number in range(1, CUSTOMERS + 1)]
    for each in customers:
        each.orders.extend(behaviour.orders(random, max(FIRST_DAY, each.signed_up), LAST_DAY))
    return customers


def customer_rows(random: Random, customers: Sequence[Customer]) -> Iterable[dict[str, Any]]:
    for each in customers:
        revenue = sum(order.cents for order in each.orders_since(days_ago(180))) / 100
        yield {
            "customer_id": each.customer_id,
            "email": each.email,
            "name": each.name,
            "timezone": each.timezone,
            "device_token": each.device_token,
            "device_type": each.device_type,
            "loyalty_member": chance(random, min(85, 5 + revenue / 10)),
            "signed_up": each.signed_up.isoformat(),
            "rev_180": revenue or None,
            "favourite_category": each.favourite_category,
            "last_order_at": each.last_order_at and each.last_order_at.isoformat(),
        }


def order_rows(customers: Sequence[Customer]) -> Iterable[tuple[Any, ...]]:
    rows = sorted(
        (order.ordered_at, each.customer_id, f"{order.cents / 100:.2f}", order.category)
        for each in customers
        for order in each.orders
    )
    for number, (at, customer_id, total, category) in enumerate(rows, start=200_001):
        yield f"O-{number}", customer_id, at, total, category


def recent_rows(customers: Sequence[Customer]) -> list[tuple[Any, ...]]:
    """Who ordered in the last 30 days, as a nightly script writes it, with the mishaps such files have."""
    rows: list[tuple[Any, ...]] = [
        (each.customer_id, each.last_order_at, len(recent))
        for each in customers
        if (recent := each.orders_since(days_ago(30)))
    ]
    rows.insert(100, ("", *rows[99][1:]))  # an order without an account: nobody to tell
    rows.insert(500, ("   ", *rows[499][1:]))
    rows.insert(900, rows[899])  # the same customer twice: counts once
    return rows


def event_rows(random: Random, customers: Sequence[Customer]) -> Iterable[dict[str, str]]:
    events = [event for each in customers for event in behaviour.app_events(random, each, LAST_DAY)]
    for at, customer_id, event in sorted(events):
        yield {"at": at.replace(tzinfo=UTC).isoformat(), "customer_id": customer_id, "event": event}


def prediction_rows(random: Random, customers: Sequence[Customer]) -> Iterable[tuple[str, float, str]]:
    for each in customers:
        yield each.customer_id, behaviour.churn(random, each, NOW), LAST_DAY.isoformat()


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def write_json_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def write_parquet(path: Path, columns: dict[str, str], rows: Iterable[dict[str, Any]]) -> None:
    """``columns`` gives the SQL types. One thread keeps the rows in order."""
    with TemporaryDirectory() as folder, duckdb.connect(":memory:", config={"threads": 1}) as database:
        lines = Path(folder) / "rows.jsonl"
        write_json_lines(lines, rows)
        table = database.read_json(str(lines), columns=columns, format="newline_delimited")
        table.to_parquet(str(path), compression="zstd")


def write_predictions(path: Path, rows: Iterable[tuple[str, float, str]]) -> None:
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "CREATE TABLE predictions"
            " (customer_id TEXT PRIMARY KEY, churn REAL NOT NULL, predicted_on TEXT NOT NULL) WITHOUT ROWID"
        )
        database.executemany("INSERT INTO predictions VALUES (?, ?, ?)", rows)


def generate(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    random = Random(SEED)
    customers = invented_customers(random)
    write_parquet(folder / "customers.parquet", CUSTOMER_COLUMNS, customer_rows(random, customers))
    orders = ("order_id", "customer_id", "ordered_at", "total", "category")
    write_csv(folder / "orders.csv", orders, order_rows(customers))
    recent = ("customer_id", "last_order_at", "orders")
    write_csv(folder / "order_completed_last_30days.csv", recent, recent_rows(customers))
    write_json_lines(folder / "app_events.jsonl", event_rows(random, customers))
    write_predictions(folder / "predictions.db", prediction_rows(random, customers))


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "shop")
