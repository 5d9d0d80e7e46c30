"""Evaluates and promotes versions of registered models."""
