"""Accesses tracking and artifact stores: their schema, locations, searches, retries and the models of MLflow 2."""
