"""What leaves the core: private reports, market data, snapshots, answers to queries."""
