"""The sidecar's HTTP port, on loopback unless configured otherwise, on aiohttp's server."""
