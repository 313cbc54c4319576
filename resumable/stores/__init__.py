"""The places where bytes can live, one module each; `connect` picks by URL."""
