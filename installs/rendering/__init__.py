"""Configuration files of a cluster's hosts as text: pure functions of the layout and its passwords. Putting them there is installs.operations' work."""
