"""Deliver the committed changes to all destinations."""
