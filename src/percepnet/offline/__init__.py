"""For recordings, whose future is known: what takes its time to be better."""
