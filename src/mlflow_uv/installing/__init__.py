"""
Programs that run inside a base image or a container of ours, with its own Python and nothing else.

An island of single files: each is run as it is and imports the standard library alone.
"""
