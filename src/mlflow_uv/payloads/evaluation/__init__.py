"""Evaluates models, and stores and finds the results."""
