"""What is true about cases: states, moves, deadlines, and the organisation that answers. Plain Python, no I/O."""
