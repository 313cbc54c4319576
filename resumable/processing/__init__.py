"""Recordings made into what was wished: one local file in, files out, nothing else in reach."""
