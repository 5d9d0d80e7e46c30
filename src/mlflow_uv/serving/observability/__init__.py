"""Observes requests: metrics, access log and traces."""
