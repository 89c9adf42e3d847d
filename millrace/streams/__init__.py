"""Who listens to what: topologies as values, and the engines that run them."""
