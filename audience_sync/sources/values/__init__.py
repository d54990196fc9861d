"""Decide what a valid user id and a valid value are, in SQL and in Python."""
