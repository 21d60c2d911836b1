"""What services raise beyond Django's own ValidationError, PermissionDenied and DoesNotExist."""


class Conflict(Exception):
    """What was asked for does not fit what is there: it exists already, or is in use. The message says what to do."""
