"""What happens between a document and the log, and between the log and a handler."""
