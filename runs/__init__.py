"""The engine: plan -> run -> steps -> events; knows nothing of clusters or environments."""
