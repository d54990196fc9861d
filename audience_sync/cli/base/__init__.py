"""Share what all commands need: options, errors, layout, logs, streams."""
