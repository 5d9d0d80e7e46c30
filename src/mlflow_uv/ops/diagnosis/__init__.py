"""Diagnoses a model without loading it: what it requires, where it installs, and how an environment differs."""
