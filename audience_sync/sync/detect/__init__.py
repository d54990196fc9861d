"""Detect the changes of all audiences and computed traits: load, diff, guard."""
