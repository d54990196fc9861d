"""Lay out results as lines for people."""
