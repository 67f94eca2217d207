"""What is asked of a venue as it stands: shocks, one account, the rules of its markets."""
