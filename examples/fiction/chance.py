"""What is left to chance? Draws from a seeded generator that come out the same in every version of Python.

Only ``random()``, ``choice``, ``choices`` and ``randrange`` are used: Python keeps their results.
"""

from datetime import date, datetime, time
from random import Random

HOURS = range(24)
HOUR_WEIGHTS = (2, 1, 1, 1, 1, 2, 4, 7, 9, 9, 9, 10, 12, 11, 9, 8, 9, 11, 13, 15, 16, 13, 8, 4)


def chance(random: Random, per_cent: float) -> bool:
    return random.random() * 100 < per_cent


def text(random: Random, letters: str, length: int) -> str:
    return "".join(random.choices(letters, k=length))


def moment(random: Random, day: date) -> datetime:
    """A time on that day (UTC), more often in the evening than at night."""
    hour = random.choices(HOURS, HOUR_WEIGHTS)[0]
    return datetime.combine(day, time(hour, random.randrange(60), random.randrange(60)))
