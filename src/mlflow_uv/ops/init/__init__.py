"""Plans the files that set a project up."""
