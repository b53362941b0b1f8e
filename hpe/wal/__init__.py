"""The write-ahead log: records, segments, recovery, tools to look inside."""
