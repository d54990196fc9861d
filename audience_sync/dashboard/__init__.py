"""Show the store's views as read-only pages."""
