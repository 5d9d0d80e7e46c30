"""The hook surface: from changed file names to projects to steps."""
