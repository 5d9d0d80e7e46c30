"""
Serves one MLflow model over HTTP inside a serving image, with nothing but the model's own packages.

The folder is copied into the image unchanged: `python -I FOLDER` starts the server; `healthcheck.py` and `inventory.py`
are standalone programs, which are run by their paths. All modules import only the standard library, mlflow and the
packages mlflow serves with, nothing else of this project. docs/serving.md documents the endpoints and the environment
variables.
"""
