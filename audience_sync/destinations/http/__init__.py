"""Send requests over HTTP: connections, deadlines, proxies, the meaning of answers."""
