"""What the configuration's models say: variables, origins of values, and the documents of them."""
