"""Run a person's query on the views, so that it can only read them."""
