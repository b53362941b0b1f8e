"""Between the server and the log: batches, the matching thread, time, and thread placement."""
