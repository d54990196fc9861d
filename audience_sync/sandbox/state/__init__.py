"""Keep what was received in one SQLite file: calls, users, events, counts and planned answers."""
