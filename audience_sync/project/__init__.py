"""The public Python API: a project, its runs and its answers. The command line and the services stand on it."""
