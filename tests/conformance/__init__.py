"""The conformance kit, against a server that is right and against that server made wrong."""
