"""Carry out commands: runs, confirmations, checks, live calls, the scheduler."""
