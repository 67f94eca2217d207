"""Grafana's dashboards, made by code: `make dashboards` writes them to `deploy/grafana`."""
