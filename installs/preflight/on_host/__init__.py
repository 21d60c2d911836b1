"""Small programs that are sent to hosts and run by their own python3; each stands alone and knows the standard library only."""
