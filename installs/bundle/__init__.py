"""Bundles: all that hosts without a route out are built from, fetched where there is one and pushed to them over SSH."""
