"""What is tested for longer than a test suite may take: goals in shards, whose results are kept (``make assurance``)."""
