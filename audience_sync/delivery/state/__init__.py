"""Keep how far each destination is: cursor, ranges, subscriptions."""
