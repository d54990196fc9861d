"""Preview a run: changes, calls, requests and time, without sending anything."""
