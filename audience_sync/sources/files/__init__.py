"""Read snapshots from files, by name or by a query over them."""
