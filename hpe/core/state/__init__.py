"""The state as rows: what a dump has, how it is made, and how it is taken over."""
