"""Sessions: one client's position, the registry of all, and the room that they take."""
