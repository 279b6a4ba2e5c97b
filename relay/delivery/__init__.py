"""From the spool to a smarthost: route, pacing, attempt, outcome, retry schedule."""
