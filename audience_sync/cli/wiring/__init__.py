"""Put config, store, sources and destinations together, and carry out a run for a command."""
