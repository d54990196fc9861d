"""Parts that all commands share: options, errors, layout, logs, streams."""
