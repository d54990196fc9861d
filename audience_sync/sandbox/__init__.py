"""Stand in for Segment, RudderStack, Zendesk Connect and a webhook: receive calls, validate and show them."""
