"""Define the values that a run is made of: request, stored state, changes, report."""
