"""What the sidecar is measured beside; each of an environment of its own (`make bench-live`)."""
