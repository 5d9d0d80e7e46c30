"""Scores tables with a model of the registry, in its own environment, into an output that can be continued."""
