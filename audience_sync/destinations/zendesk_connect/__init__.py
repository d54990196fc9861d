"""Send to Zendesk Connect."""
