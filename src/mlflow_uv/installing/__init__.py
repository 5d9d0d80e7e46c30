"""
What does a build run inside the base image, with the base's own Python and nothing else?

An island of single files: each is run as it is and imports the standard library alone.
"""
