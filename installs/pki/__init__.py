"""Certificates of a cluster: made, requested, read, checked, and which file of them goes to which host. No network."""
