"""The wire: framing, server connections, client library."""
