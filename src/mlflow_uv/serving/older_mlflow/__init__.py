"""Serves with an older MLflow: the Flask application, and what newer versions of Starlette removed."""
