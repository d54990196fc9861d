"""Compare what each vendor's own SDK sends with what audience-sync sends for the same facts."""
