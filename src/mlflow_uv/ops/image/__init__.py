"""Builds, describes and checks serving images."""
