"""The server: listeners, connections, sessions, what bounds them and what is sent to them."""
