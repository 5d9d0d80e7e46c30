"""Collects what the ML-BOM and the model card of a version show."""
