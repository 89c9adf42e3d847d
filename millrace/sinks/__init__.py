"""Where facts come to rest: the ports that everybody sees and the implementations behind them."""
