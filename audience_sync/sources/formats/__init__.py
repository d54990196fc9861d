"""Which formats can files have? One module each: where its rows are, in DuckDB's words."""
