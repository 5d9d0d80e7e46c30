"""Interfaces to other programs, files and servers: one module or folder for each program."""
