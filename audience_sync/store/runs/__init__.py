"""Keep schedule slots, the clock of runs, and how far the history is pruned."""
