"""Build destinations of JSON APIs from tables: the form of an item, its values, its limits, the meaning of answers."""
