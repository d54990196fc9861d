"""Share between dashboard and sandbox: the application, its security, templates, formats and static files."""
