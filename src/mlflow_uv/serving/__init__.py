"""
What runs inside a serving image, with nothing but the model's own packages?

An island of single files: each is copied into the image as it is and run as `python -I FILE`. They import the standard
library, mlflow and what mlflow serves with, and neither each other nor the rest of the program.
"""
