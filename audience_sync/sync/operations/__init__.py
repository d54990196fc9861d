"""Undo, retire, move and merge: changes that no snapshot brings."""
