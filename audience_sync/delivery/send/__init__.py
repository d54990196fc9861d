"""Send pending calls in batches, within limits, and record the answers."""
