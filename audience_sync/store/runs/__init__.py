"""Keep runs: their times, deliveries and schedule slots, and the clock."""
