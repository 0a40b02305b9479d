"""The SQLite files of the embedded mode."""
