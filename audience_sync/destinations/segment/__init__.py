"""Send to Segment and RudderStack over the tracking API."""
