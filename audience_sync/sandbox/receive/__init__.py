"""Read requests as the services do: which calls they have, what is wrong with them, and how they are answered."""
