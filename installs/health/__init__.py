"""The health of clusters as rows: looked at, kept, shown, and what state of the cluster it makes."""
