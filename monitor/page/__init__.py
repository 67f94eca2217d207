"""What every page is built of: one self-contained document, its charts, cards and tables."""
