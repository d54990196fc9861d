"""When do runs begin by themselves? The times of the config, and the clock that waits for them."""
