"""Metrics of speech, which training takes at its validations and evaluation of everything that it compares."""
