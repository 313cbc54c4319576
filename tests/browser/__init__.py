"""The browser side in a real Chromium."""
