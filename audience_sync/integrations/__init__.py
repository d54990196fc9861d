"""Run a project from Airflow, Dagster, Prefect and GitHub Actions, on the Python API. Each imports its own tool."""
