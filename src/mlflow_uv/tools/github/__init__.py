"""Reads the event of a workflow and pull requests, and writes comments and issues, through GitHub's API."""
