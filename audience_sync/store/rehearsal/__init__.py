"""Rehearse an upgrade: upgrade a copy of the store, and compare what it has with what it had."""
