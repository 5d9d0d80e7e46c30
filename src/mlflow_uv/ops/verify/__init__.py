"""Serves a model in every way that MLflow offers, and compares the answers with those of training."""
