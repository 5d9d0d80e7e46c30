"""Pure values of deployments."""
