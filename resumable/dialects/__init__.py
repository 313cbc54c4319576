"""Protocols that clients speak, one module each: pure translations to and from operations."""
