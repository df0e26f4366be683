"""What the tests of nbtrack share with those of third parties."""
