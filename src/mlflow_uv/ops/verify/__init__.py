"""Serves a model with MLflow, in its image and on Spark, and compares its answers with those of training."""
