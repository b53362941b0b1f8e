"""The state as rows: what a dump contains, how it is made, and how it is loaded."""
