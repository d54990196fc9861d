"""Find secrets, and keep them out of output, logs and errors."""
