"""Read the config file: YAML, variables, environments, paths."""
