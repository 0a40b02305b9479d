"""What is deployed, held against the code and the tools of those it is for."""
