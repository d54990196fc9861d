"""What does a monitor see? The store's numbers, as Prometheus reads them."""
