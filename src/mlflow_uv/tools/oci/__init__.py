"""Container registries and their credentials."""
