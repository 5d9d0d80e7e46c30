"""Describes a version as an ML-BOM and as a model card."""
