"""Keep alerts and to whom each was sent."""
