"""A serving image: its Dockerfile, layers, labels and SBOM."""
