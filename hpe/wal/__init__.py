"""The write-ahead log: records, segments, recovery, and tools that inspect a log."""
