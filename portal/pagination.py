"""Paging of /api/v1 lists."""

from rest_framework.pagination import LimitOffsetPagination


class Pages(LimitOffsetPagination):
    """{"count", "next", "previous", "results"}; `limit` up to 1,000, `offset`."""

    default_limit = 50
    max_limit = 1000
