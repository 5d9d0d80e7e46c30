"""Describes and changes registered models, their versions and aliases."""
