"""Read what dbt writes: its models become entries of the config, and its results decide what may be loaded."""
