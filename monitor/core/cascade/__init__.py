"""Cascades: forced flow that moves the mark into the next position's liquidation price."""
