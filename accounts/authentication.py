"""Who is calling an API."""
from rest_framework.authentication import SessionAuthentication as DrfSessionAuthentication
from rest_framework.authentication import TokenAuthentication as DrfTokenAuthentication


class SessionAuthentication(DrfSessionAuthentication):
    """The browser's session."""


class TokenAuthentication(DrfTokenAuthentication):
    """`Authorization: Token ctok-...`."""
