"""What a desk does: it asks about a venue as it stands, reads back alerts, and judges them."""
