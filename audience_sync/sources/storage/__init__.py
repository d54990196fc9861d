"""Find files by name or pattern, on disk or in object storage, and decode them."""
