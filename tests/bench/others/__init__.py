"""What the sidecar is measured beside; each a process of its own (`make bench-rivals`)."""
