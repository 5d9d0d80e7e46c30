"""The surface of pre-commit and prek: finds the projects of changed files and runs a step on each."""
