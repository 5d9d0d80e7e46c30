"""Finds and loads the model."""
