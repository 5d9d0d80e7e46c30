"""Renders a serving image's Dockerfile, layers, labels and SBOM."""
