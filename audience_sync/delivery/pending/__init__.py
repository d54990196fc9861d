"""Compute the pending calls of a destination."""
