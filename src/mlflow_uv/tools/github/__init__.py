"""Reads the event of a workflow, and comments on pull requests through GitHub's API."""
