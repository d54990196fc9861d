"""Parts that all commands share: session, options, errors, layout, logs, the process."""
