"""Drive the vendors' own clients against the sandbox."""
