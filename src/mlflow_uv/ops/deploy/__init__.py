"""Deploys versions to targets."""
