"""Makes layers of a serving image from wheels, without a container engine."""
