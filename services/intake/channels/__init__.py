"""The ways in besides the page and the single call."""
