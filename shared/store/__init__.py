"""Documents: one port, sibling adapters. A service sees its own store only, so a neighbour's documents are out of reach."""
