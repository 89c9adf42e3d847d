"""What we decide: pure functions of (state, event); no clock, no randomness, no I/O."""
