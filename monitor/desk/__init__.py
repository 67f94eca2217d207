"""What a desk does with published alerts: it reads them back and judges them."""
