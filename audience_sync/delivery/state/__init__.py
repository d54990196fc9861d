"""Store the state of each destination: cursors, ranges, subscriptions."""
