"""What is true of figures: `cases` counts, `flow` measures times, `publicity` hides what is too small."""
