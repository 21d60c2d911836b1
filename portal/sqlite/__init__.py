"""Django's SQLite backend, with the threads of one process queueing for the write lock."""
