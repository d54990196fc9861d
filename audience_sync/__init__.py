"""Audience Sync: audiences and computed traits as live user properties."""

__version__ = "0.1.0"
