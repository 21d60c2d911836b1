"""Drills: real failures made on purpose on a cluster that serves, under a counter that is written all the time."""
