"""Send to Segment and to RudderStack, by the tracking API or as Engage does."""
