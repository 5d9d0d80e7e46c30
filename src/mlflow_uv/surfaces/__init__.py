"""The surfaces: command line, GitHub action and the files that are rendered from the steps."""
