"""What every engine that compares must do: the same cases on each of them."""
