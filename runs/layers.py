"""Channel layers."""
from channels.layers import InMemoryChannelLayer


class MemoryLayer(InMemoryChannelLayer):
    """In-process."""


class PostgresLayer(InMemoryChannelLayer):
    """LISTEN/NOTIFY."""
