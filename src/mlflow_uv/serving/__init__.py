"""
What runs inside a serving image, with nothing but the model's own packages?

An island, copied into the image as it is: `python -I FOLDER` is the server; `healthcheck.py` and `inventory.py` are
single files of their own. They import the standard library, mlflow and what mlflow serves with, and nothing of the rest
of the program. docs/serving.md says what the server answers and which variables steer it.
"""
