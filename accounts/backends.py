"""Password check with a throttle."""
from django.contrib.auth.backends import ModelBackend


class ThrottledBackend(ModelBackend):
    """Checks name and password."""
