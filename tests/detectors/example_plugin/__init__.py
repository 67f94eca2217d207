"""What somebody outside the project writes: a package with one detector."""
