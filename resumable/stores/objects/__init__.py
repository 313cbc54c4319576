"""Uploads in an object store: what is known is what is listed; nothing shared is ever rewritten."""
