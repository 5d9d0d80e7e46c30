"""Reads the lock policy in [tool.mlflow-uv.policy], and checks a lock against it."""
