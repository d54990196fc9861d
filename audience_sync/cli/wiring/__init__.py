"""Put config, store, sources and destinations together, and make runs for commands."""
