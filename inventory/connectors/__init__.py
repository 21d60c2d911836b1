"""How the portal reaches other machines: addresses, policy, transports and protocols; what to do there is decided elsewhere."""
