"""Describe each section of the config as a model: guard, sources, snapshots, destinations, alerts, metrics."""
