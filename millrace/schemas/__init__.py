"""What can happen: events, topics, ids and their codec; data only, no behaviour of the product."""
