"""Levels, bandwidth, rooms and mixing: what training and evaluation share, neither of which imports the other."""
