"""Cascades that a simulated venue executes, beside what the engine said of them beforehand."""
