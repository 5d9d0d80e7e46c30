"""From uv.lock to a served, tested MLflow model."""

__version__ = "0.1.0"
