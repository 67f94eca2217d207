"""The flow of recorded days and of a simulated one, measured alike."""
