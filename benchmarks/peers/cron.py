"""The script that most people write: two days' files, set differences, Segment's own client. Run by cron.

python cron.py HOST TODAY [YESTERDAY] [--queue 2000000] [--upload-size 1000]
"""

import argparse
import logging
from pathlib import Path

import pandas as pd
from segment.analytics.client import Client


def members(folder, audience):
    return set(pd.read_csv(folder / f"{audience}.csv", dtype=str)["user_id"]) if folder else set()


def traits(folder):
    if folder is None:
        return pd.DataFrame(columns=["score", "city"])
    return pd.read_csv(folder / "traits.csv", dtype={"user_id": str}).set_index("user_id")


def changes(today, yesterday):
    users = {}
    for audience in ("newsletter", "buyers"):
        new, old = members(today, audience), members(yesterday, audience)
        for user_id in new - old:
            users.setdefault(user_id, {})[audience] = True
        for user_id in old - new:
            users.setdefault(user_id, {})[audience] = False
    new, old = traits(today), traits(yesterday)
    before = old.reindex(new.index)
    for trait in ("score", "city"):
        changed = new[trait][new[trait] != before[trait]]
        for user_id, value in changed.items():
            users.setdefault(user_id, {})[trait] = value
    return users


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("today", type=Path)
    parser.add_argument("yesterday", type=Path, nargs="?")
    parser.add_argument("--queue", type=int, default=10_000)
    parser.add_argument("--upload-size", type=int, default=100)
    chosen = parser.parse_args()
    logging.disable(logging.CRITICAL)  # a warning for each call that the full queue drops
    client = Client("key", host=chosen.host, max_queue_size=chosen.queue, upload_size=chosen.upload_size)
    for user_id, values in changes(chosen.today, chosen.yesterday).items():
        client.identify(user_id, values)
    client.flush()
    client.shutdown()


if __name__ == "__main__":
    main()
