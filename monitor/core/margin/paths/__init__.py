"""What happens to an account under water, step by step, as each venue does it."""
