"""Personal data at rest: a key per case and part, sealing and opening."""
