"""Turn the values of queries into the values of templates."""
