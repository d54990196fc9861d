"""Read frozen values from the public views."""
