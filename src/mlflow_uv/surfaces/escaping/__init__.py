"""Puts text from outside into what a medium reads as markup or commands; a module for each medium."""
