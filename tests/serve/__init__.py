"""What `audience-sync serve` answers over HTTP."""
