"""What other trackers and tools wrote, brought into a database: one file per kind of archive."""
