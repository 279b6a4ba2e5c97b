"""What is examined, one subject a module: findings as values, no printing."""
