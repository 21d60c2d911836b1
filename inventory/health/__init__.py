"""How a cluster is, by what the Prometheus servers of its hosts say: asked, read, judged. No rows and no pages."""
