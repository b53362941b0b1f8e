"""Sessions: one client's state, the registry of all, and the room that they take."""
