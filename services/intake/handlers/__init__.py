"""What intake does: `reception` takes in, `submitter` hears and answers who holds the code, `views` follows the case."""
