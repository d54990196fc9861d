"""Offer a project over HTTP: trigger runs, plan, cancel, decide, and look."""
