"""Incidents planted in a simulated day: what they are, which the day has, what they change."""
