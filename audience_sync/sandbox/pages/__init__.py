"""Show what was received: the feed, users, events, and how to set up a destination."""
