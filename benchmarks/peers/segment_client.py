"""Deliver calls that are ready with Segment's client alone, its queue raised.

    python segment_client.py HOST FOLDER [--upload-size 1000]

Prints the seconds from the first call to the last answer, and their CPU.
"""

import argparse
import json
import time
from pathlib import Path

import pandas as pd
from segment.analytics.client import Client


def ready_calls(folder):
    traits = pd.read_csv(folder / "traits.csv", dtype={"user_id": str})
    calls = {user: {"score": score, "city": city} for user, score, city in traits.itertuples(index=False)}
    for audience in ("newsletter", "buyers"):
        for user_id in pd.read_csv(folder / f"{audience}.csv", dtype=str)["user_id"]:
            calls[user_id][audience] = True
    return calls


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--upload-size", type=int, default=100)
    chosen = parser.parse_args()
    calls = ready_calls(chosen.folder)
    client = Client("key", host=chosen.host, max_queue_size=2_000_000, upload_size=chosen.upload_size)
    started, cpu = time.perf_counter(), time.process_time()
    for user_id, values in calls.items():
        client.identify(user_id, values)
    client.flush()
    client.shutdown()
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "delivery": seconds, "delivery_cpu": time.process_time() - cpu}))


if __name__ == "__main__":
    main()
