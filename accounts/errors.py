"""What services raise beyond Django's own ValidationError, PermissionDenied and DoesNotExist."""


class Conflict(Exception):
    """What was asked for does not fit what is there: it exists already, or is in use. The message says what to do."""


# Of a DataError: what the database would not take although every field had been read.
UNSTORABLE = "What was sent holds a value that cannot be stored: a NUL character, or a number that is too large. Correct it; nothing was changed."
