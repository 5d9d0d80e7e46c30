"""Scores tables with a model on Apache Spark."""
