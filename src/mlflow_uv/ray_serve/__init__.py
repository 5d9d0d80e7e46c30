"""Serves a model on a Ray cluster: runs in the Python of the cluster, beside the environment of the model."""
