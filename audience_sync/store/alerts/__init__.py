"""Keep alerts, and the notifications that were sent about them."""
