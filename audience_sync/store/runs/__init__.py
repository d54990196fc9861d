"""Keep runs and what belongs to them: schedule slots, the clock, pruning, erasure."""
