"""Turn the rows of a source into the rows of a snapshot, valid and invalid ones."""
