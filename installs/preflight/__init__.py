"""Preflight: everything that would keep a cluster from being built, found at once, before anything is touched."""
